"""From matches to what a model sees: the ratings before each match, and every club's state now."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from features.io.clock import Clock
from features.io.store import Lake
from features.matches import Status
from features.matrix import feature_frame
from features.replay import replay
from monitoring.claims import Suite
from orchestration import checks, display, published
from orchestration.automation import FOLLOW
from orchestration.partitions import competitions
from orchestration.training import digest

_ALL_MATCHES = dg.AssetDep("matches", partition_mapping=dg.AllPartitionMapping())
"""Results of one tier move the ratings of the others of its country, so each competition follows all of them."""


@dg.asset(
    partitions_def=competitions,
    deps=[_ALL_MATCHES],
    group_name="data",
    kinds={"parquet"},
    automation_condition=FOLLOW,
    check_specs=checks.specs("match_features"),
)
def match_features(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], clock: dg.ResourceParam[Clock]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    """The model's input for every match of a competition, made only from what stood on the evening before it."""
    competition = context.partition_key
    table = published.matches(lake, published.rated_together(lake, competition))
    states = replay(table)
    frame = feature_frame(table, states.home, states.away)
    frame = frame[frame["competition"] == competition].reset_index(drop=True)
    yield from checks.verify("match_features", {Suite.FEATURES: frame}, clock.as_of())
    lake.write_table("match_features", competition, frame)
    played = frame[frame["status"] == Status.PLAYED]
    yield dg.MaterializeResult(
        metadata={
            **display.of_table(frame, sample=played.drop(columns=["match_id", "competition"]).tail(5)),
            "summary": dg.MetadataValue.md(
                display.markdown(played.describe().T.rename_axis("feature").reset_index().drop(columns="count"))
            ),
        },
        data_version=dg.DataVersion(digest(frame)),
    )


@dg.asset(
    partitions_def=competitions,
    deps=[_ALL_MATCHES],
    group_name="data",
    kinds={"parquet"},
    automation_condition=FOLLOW,
)
def team_states(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult[None]:
    """Where every club stands after the last result: the ratings from which the next matches are forecast."""
    competition = context.partition_key
    table = replay(published.matches(lake, published.rated_together(lake, competition))).team_states
    table = table[table["competition"] == competition].reset_index(drop=True)
    lake.write_table("team_states", competition, table)
    last = table["features_as_of"].max()
    ranked = table.sort_values("elo", ascending=False)[["team", "elo", "pi_home", "pi_away", "attack", "defence"]]
    return dg.MaterializeResult(
        metadata={
            **display.of_table(table, sample=ranked),
            "features_as_of": "no result yet" if pd.isna(last) else dg.MetadataValue.timestamp(last.to_pydatetime()),
        },
        data_version=dg.DataVersion(digest(table)),
    )
