"""Published forecasts with the results of their matches, and their scores."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from features.io.clock import Clock
from features.io.store import Lake, week_of
from monitoring.checks.suites import Suite
from monitoring.settlement import SCHEMA, settle
from orchestration import checks
from orchestration.automation import EAGER_ALL_WEEKS
from orchestration.partitions import weeks
from orchestration.steps import lake_tables, rendering
from orchestration.steps.baselines import plain_elo

METADATA_COLUMNS = ["kick_off", "home_team", "away_team", "home_goals", "away_goals", "home", "draw", "away", "rps"]


@dg.asset(
    partitions_def=weeks,
    deps=[
        "forecasts",
        dg.AssetDep("matches", partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep("match_features", partition_mapping=dg.AllPartitionMapping()),
    ],
    check_specs=checks.specs("settled_forecasts"),
    automation_condition=EAGER_ALL_WEEKS,
    group_name="evaluation",
    pool="settlement",
    kinds={"parquet"},
)
def settled_forecasts(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], clock: dg.ResourceParam[Clock]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    """Forecasts of a week's played matches, scored beside the base rate, plain Elo and the bookmakers' odds.

    A match belongs to the week in which it was played. The last forecast published before kick-off is scored, once.
    Postponed matches are settled when they are played; awarded ones are void.
    """
    rows, table = lake_tables.read_weeks(lake, "forecasts"), lake_tables.matches(lake)
    elo = plain_elo(table, lake_tables.features(lake), set(rows["season"]))
    already = lake_tables.settled_forecasts(lake)
    now = settle(rows, table, elo, clock.as_of(), already_settled=set(already["match_id"]))
    played_in = now.settled["kick_off"].map(week_of)
    before = {week: lake_tables.read_week(lake, "settled_forecasts", week, SCHEMA) for week in context.partition_keys}
    frames: dict[str, pd.DataFrame] = {}
    for week in context.partition_keys:
        frame = _concat([before[week], now.settled[played_in == week]]).drop_duplicates("match_id", keep="first")
        frames[week] = frame.sort_values(["kick_off", "match_id"], ignore_index=True)
    others = [name for name in lake.partitions("settled_forecasts") if name not in frames]
    rest = [lake_tables.read_week(lake, "settled_forecasts", name, SCHEMA) for name in others]
    yield from checks.verify({Suite.SETTLED: _concat([*rest, *frames.values()])}, clock.as_of())
    written = set(lake.partitions("settled_forecasts"))
    for week, frame in frames.items():
        if not frame.equals(before[week]) or (week not in written and week <= week_of(clock.as_of())):
            frame = _publish(lake, week, frame)
        announced = set(lake_tables.read_week(lake, "forecasts", week)["match_id"])
        unsettled = now.unsettled[now.unsettled["match_id"].isin(announced - set(frame["match_id"]))]
        metadata = {**rendering.of_table(frame, frame[METADATA_COLUMNS]), "not_scored": _reasons(unsettled)}
        if len(frame):
            metadata["rps"] = float(frame["rps"].mean())
        context.add_asset_metadata(metadata, partition_key=week)
    yield dg.MaterializeResult()


def _publish(lake: Lake, week: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Publish a week and return it as it is published now; a match that is settled already stays as it is."""
    written = frame

    def change(published: pd.DataFrame) -> pd.DataFrame:
        nonlocal written
        rows = _concat([published, frame]).drop_duplicates("match_id", keep="first")
        written = rows.sort_values(["kick_off", "match_id"], ignore_index=True)
        return written

    lake.update_table("settled_forecasts", week, change, SCHEMA)
    return written


def _concat(parts: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if not part.empty]
    return pd.concat(filled, ignore_index=True) if filled else lake_tables.empty_table(SCHEMA)


def _reasons(unsettled: pd.DataFrame) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(rendering.markdown(unsettled[["match_id", "reason"]].drop_duplicates()))
