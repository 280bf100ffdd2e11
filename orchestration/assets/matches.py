"""Results and fixtures."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from features.io.clock import Clock
from features.io.sources import QUARANTINE_SCHEMA, names
from features.io.store import Lake
from features.matches import SCHEMA, Status, as_known_at
from orchestration import checks
from orchestration.partitions import competitions
from orchestration.resources import MatchSource
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables, match_checks, rendering
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
    for finding in ("unusable", "stale", "crowded"):
        for text in loaded.report.get(finding, []):
            context.log.warning(f"{finding}: {text}")
    for pair in loaded.report.get("alike", []):
        context.log.warning(f"possibly the same club: {pair}; if so, map one to the other in TOUCHLINE_ALIASES")
    for pair in loaded.report.get("listed_twice", []):
        context.log.warning(f"possibly one match listed twice: {pair}; TOUCHLINE_FORMATS tells how often pairs meet")
    table = as_known_at(loaded.matches, as_of)
    published = match_checks.published_matches(lake, competition)
    before = lake_tables.empty_table(SCHEMA) if config.accept_lost_results else published
    before = before[before["season"].str[:4] >= str(settings.first_season)]
    tables = match_checks.tables_to_check(loaded.matches, before, names(settings), as_of, clock.replaying)
    yield from checks.verify(tables, as_of, loaded.origins)
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
