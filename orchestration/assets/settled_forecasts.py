"""What was published before kick-off, with what then happened."""

import dagster as dg
import pandas as pd

from features.io.clock import Clock
from features.io.store import Lake, week_of
from monitoring.settlement import SCHEMA, settle
from orchestration import display, published
from orchestration.automation import FOLLOW_EVERY_WEEK
from orchestration.partitions import weeks
from orchestration.references import plain_elo

_SHOWN = ["kick_off", "home_team", "away_team", "home_goals", "away_goals", "home", "draw", "away", "rps"]


@dg.asset(
    partitions_def=weeks,
    deps=[
        "forecasts",
        dg.AssetDep("matches", partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep("match_features", partition_mapping=dg.AllPartitionMapping()),
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    automation_condition=FOLLOW_EVERY_WEEK,
    group_name="judgement",
    pool="settlement",
    kinds={"parquet"},
)
def settled_forecasts(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], clock: dg.ResourceParam[Clock]
) -> None:
    """The forecasts of a week's played matches, scored once and for all against the base rate, plain Elo and the odds.

    A match counts in the week in which it was played, by the last forecast published before its kick-off. Postponed
    matches wait, awarded ones are void. What is settled stays settled.
    """
    rows, table = published.weeks(lake, "forecasts"), published.matches(lake)
    elo = plain_elo(table, published.features(lake), set(rows["season"]))
    already = published.settled(lake)
    now = settle(rows, table, elo, clock.as_of(), already=set(already["match_id"]))
    played_in = now.settled["kick_off"].map(week_of)
    for week in context.partition_keys:
        mine = published.week(lake, "settled_forecasts", week, SCHEMA)
        filled = [part for part in (mine, now.settled[played_in == week]) if not part.empty]
        frame = pd.concat(filled, ignore_index=True) if filled else published.empty(SCHEMA)
        # Another run may have settled a match since this one looked.
        frame = frame.drop_duplicates("match_id", keep="first").sort_values(["kick_off", "match_id"], ignore_index=True)
        lake.write_table("settled_forecasts", week, frame, schema=SCHEMA)
        announced = set(published.week(lake, "forecasts", week)["match_id"])
        open_ = now.unsettled[now.unsettled["match_id"].isin(announced - set(frame["match_id"]))]
        seen = {**display.of_table(frame, frame[_SHOWN]), "not_scored": _reasons(open_)}
        if len(frame):
            seen["rps"] = float(frame["rps"].mean())
        context.add_asset_metadata(seen, partition_key=week)


def _reasons(unsettled: pd.DataFrame) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(display.markdown(unsettled[["match_id", "reason"]].drop_duplicates()))
