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

_SHOWN = ["kick_off", "home_team", "away_team", "home_goals", "away_goals"]


class RefreshConfig(dg.Config):
    """What a person may say about a refresh."""

    accept_lost_results: bool = Field(
        default=False,
        description="True where it is right that results which were published are gone: annulled matches.",
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
    """All known results and the fixtures to come of one competition, as they stand at the pipeline's moment.

    What has not been played at that moment is a fixture without a score, even if the source already has one: the
    bundled season is replayed that way. Rows that could not be used are put aside in `quarantine`, with the reason.
    Where nothing has changed, what is published stays as it is, and nothing follows from it. A feed that has lost
    results is refused, unless a person says that it is right (`accept_lost_results`).
    """
    competition, as_of = context.partition_key, clock.as_of()
    found = source.load(competition, context.log.info)
    for pair in found.report.get("alike", []):
        context.log.warning(f"one club or two? {pair}: if one, tell it in TOUCHLINE_ALIASES")
    table = as_known_at(found.matches, as_of)
    stands = _published(lake, competition)
    before = lake_tables.empty_table(SCHEMA) if config.accept_lost_results else stands
    before = as_known_at(before[before["season"].str[:4] >= str(settings.first_season)], as_of)
    # Replayed, results of later matches are no fault of the source; live, they are, and hiding them would hide it.
    results = results_of(table if clock.replaying else found.matches)
    tables = {
        Suite.RESULTS: results,
        Suite.PUBLISHED: published_results(before, table, names(settings)),
        Suite.FIXTURES: fixtures_of(table),
    }
    yield from checks.verify(tables, as_of)
    lake.write_table("quarantine", competition, found.quarantine, schema=QUARANTINE_SCHEMA)
    changed = not stands.equals(table)
    if changed:  # what is made from the matches is made again when they are written, not when they were looked at
        lake.write_table("matches", competition, table, schema=SCHEMA)
    played = table[table["status"] == Status.PLAYED]
    yield dg.MaterializeResult(
        metadata={
            **rendering.of_table(table, sample=played[_SHOWN].tail(10)),
            "as_of": dg.MetadataValue.timestamp(as_of),
            "changed": changed,
            "played": len(played),
            "to_come": len(table) - len(played),
            "seasons": int(table["season"].nunique()),
            "quarantined": int((~found.quarantine["repaired"]).sum()),
            "repaired": int(found.quarantine["repaired"].sum()),
            "quarantine": dg.MetadataValue.md(rendering.markdown(found.quarantine.head(20))),
            "source": dg.MetadataValue.json(found.report),
        },
        data_version=dg.DataVersion(content_hash(table)),
    )


def _published(lake: Lake, competition: str) -> pd.DataFrame:
    try:
        return conform(lake.read_table("matches", competition, schema=SCHEMA))
    except (NotPublishedError, CorruptArtefactError):  # nothing that could be lost
        return lake_tables.empty_table(SCHEMA)
