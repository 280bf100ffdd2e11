"""Results and fixtures."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd
from pydantic import Field

from features.errors import CorruptArtefactError, NotPublishedError
from features.io.clock import Clock
from features.io.sources import QUARANTINE_SCHEMA, names
from features.io.store import Lake
from features.matches import SCHEMA, Status, as_known_at, conform
from monitoring.checks.matches import fixtures_of, published_results, results_of
from monitoring.checks.suites import Suite
from orchestration import checks
from orchestration.partitions import competitions
from orchestration.resources import MatchSource
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables, rendering
from orchestration.steps.training import content_hash

METADATA_COLUMNS = ["kick_off", "home_team", "away_team", "home_goals", "away_goals"]


class RefreshConfig(dg.Config):
    """Options of a refresh."""

    accept_lost_results: bool = Field(
        default=False,
        description="Accept that published results have disappeared from the source, as for annulled matches.",
    )


@dg.asset(partitions_def=competitions, group_name="data", kinds={"parquet"}, check_specs=checks.specs("matches"))
def matches(
    context: dg.AssetExecutionContext,
    config: RefreshConfig,
    source: dg.ResourceParam[MatchSource],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[PipelineSettings],
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    """All results and fixtures of one competition, as known at the pipeline's clock.

    A match after that time is a fixture without a score, even if the source has one: this is how the bundled season is
    replayed. Unusable rows go to `quarantine` with the reason. An unchanged table is not written again, so nothing
    downstream runs. A source that has lost published results is refused, unless `accept_lost_results` is set.
    """
    competition, as_of = context.partition_key, clock.as_of()
    loaded = source.load(competition, context.log.info)
    for pair in loaded.report.get("alike", []):
        context.log.warning(f"possibly the same club: {pair}; if so, map one to the other in TOUCHLINE_ALIASES")
    table = as_known_at(loaded.matches, as_of)
    published = _published(lake, competition)
    before = lake_tables.empty_table(SCHEMA) if config.accept_lost_results else published
    before = as_known_at(before[before["season"].str[:4] >= str(settings.first_season)], as_of)
    # A replay hides the results of later matches on purpose. Live, such results are errors that the checks must see.
    results = results_of(table if clock.replaying else loaded.matches)
    tables = {
        Suite.RESULTS: results,
        Suite.PUBLISHED: published_results(before, table, names(settings)),
        Suite.FIXTURES: fixtures_of(table),
    }
    yield from checks.verify(tables, as_of)
    lake.write_table("quarantine", competition, loaded.quarantine, schema=QUARANTINE_SCHEMA)
    changed = not published.equals(table)
    if changed:  # every write makes downstream assets outdated
        lake.write_table("matches", competition, table, schema=SCHEMA)
    played = table[table["status"] == Status.PLAYED]
    yield dg.MaterializeResult(
        metadata={
            **rendering.of_table(table, sample=played[METADATA_COLUMNS].tail(10)),
            "as_of": dg.MetadataValue.timestamp(as_of),
            "changed": changed,
            "played": len(played),
            "to_come": len(table) - len(played),
            "seasons": int(table["season"].nunique()),
            "quarantined": int((~loaded.quarantine["repaired"]).sum()),
            "repaired": int(loaded.quarantine["repaired"].sum()),
            "quarantine": dg.MetadataValue.md(rendering.markdown(loaded.quarantine.head(20))),
            "source": dg.MetadataValue.json(loaded.report),
        },
        data_version=dg.DataVersion(content_hash(table)),
    )


def _published(lake: Lake, competition: str) -> pd.DataFrame:
    try:
        return conform(lake.read_table("matches", competition, schema=SCHEMA))
    except (NotPublishedError, CorruptArtefactError):  # no published results that could be lost
        return lake_tables.empty_table(SCHEMA)
