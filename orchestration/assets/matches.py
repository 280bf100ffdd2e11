"""Results and fixtures."""

import dagster as dg

from features.io.clock import Clock
from features.io.store import Lake
from features.matches import SCHEMA, Status, as_known_at
from orchestration import display
from orchestration.partitions import competitions
from orchestration.resources import MatchSource
from orchestration.training import digest

_SHOWN = ["kick_off", "home_team", "away_team", "home_goals", "away_goals"]


@dg.asset(partitions_def=competitions, group_name="data", kinds={"parquet"})
def matches(
    context: dg.AssetExecutionContext,
    source: dg.ResourceParam[MatchSource],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult[None]:
    """All known results and the fixtures to come of one competition, as they stand at the pipeline's moment.

    What has not been played at that moment is a fixture without a score, even if the source already has one: the
    bundled season is replayed that way.
    """
    competition, as_of = context.partition_key, clock.as_of()
    table = as_known_at(source.matches(competition), as_of)
    lake.write_table("matches", competition, table, schema=SCHEMA)
    played = table[table["status"] == Status.PLAYED]
    return dg.MaterializeResult(
        metadata={
            **display.of_table(table, sample=played[_SHOWN].tail(10)),
            "as_of": dg.MetadataValue.timestamp(as_of),
            "played": len(played),
            "to_come": len(table) - len(played),
            "seasons": int(table["season"].nunique()),
        },
        data_version=dg.DataVersion(digest(table)),
    )
