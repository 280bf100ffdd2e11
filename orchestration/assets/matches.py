"""Results and fixtures."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from features.io.clock import Clock
from features.io.sources import QUARANTINE_SCHEMA
from features.io.store import Lake
from features.matches import SCHEMA, Status, as_known_at
from monitoring.claims import Suite, fixtures_of, results_of
from orchestration import checks, display, published
from orchestration.partitions import competitions
from orchestration.resources import MatchSource
from orchestration.training import digest

_SHOWN = ["kick_off", "home_team", "away_team", "home_goals", "away_goals"]


@dg.asset(partitions_def=competitions, group_name="data", kinds={"parquet"}, check_specs=checks.specs("matches"))
def matches(
    context: dg.AssetExecutionContext,
    source: dg.ResourceParam[MatchSource],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    """All known results and the fixtures to come of one competition, as they stand at the pipeline's moment.

    What has not been played at that moment is a fixture without a score, even if the source already has one: the
    bundled season is replayed that way. Rows that could not be used are put aside in `quarantine`, with the reason.
    """
    competition, as_of = context.partition_key, clock.as_of()
    found = source.load(competition)
    table = as_known_at(found.matches, as_of)
    _keep_results(lake, competition, table)
    tables = {Suite.RESULTS: results_of(table), Suite.FIXTURES: fixtures_of(table)}
    yield from checks.verify("matches", tables, as_of)
    lake.write_table("quarantine", competition, found.quarantine, schema=QUARANTINE_SCHEMA)
    lake.write_table("matches", competition, table, schema=SCHEMA)
    played = table[table["status"] == Status.PLAYED]
    yield dg.MaterializeResult(
        metadata={
            **display.of_table(table, sample=played[_SHOWN].tail(10)),
            "as_of": dg.MetadataValue.timestamp(as_of),
            "played": len(played),
            "to_come": len(table) - len(played),
            "seasons": int(table["season"].nunique()),
            "quarantined": int((~found.quarantine["repaired"]).sum()),
            "quarantine": dg.MetadataValue.md(display.markdown(found.quarantine.head(20))),
            "source": dg.MetadataValue.json(found.report),
        },
        data_version=dg.DataVersion(digest(table)),
    )


def _keep_results(lake: Lake, competition: str, table: pd.DataFrame) -> None:
    """A competition may have no result yet; one that had some does not lose all of them."""
    if competition not in lake.partitions("matches") or len(results_of(table)):
        return
    before = len(results_of(published.matches(lake, [competition])))
    if before:
        raise dg.Failure(f"the source has no result of {competition} any more, {before} are published: left as it was")
