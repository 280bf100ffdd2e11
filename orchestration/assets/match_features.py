"""Model input from matches: the ratings before each match, and the current state of every club."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from features.io.clock import Clock
from features.io.store import Lake
from features.matches import Status
from features.matrix import feature_frame
from features.rating_history import STATES, compute_ratings
from monitoring.checks.suites import Suite
from orchestration import checks
from orchestration.partitions import competitions
from orchestration.steps import input_fingerprints, lake_tables, rendering
from orchestration.steps.training import content_hash

_ALL_MATCHES = dg.AssetDep("matches", partition_mapping=dg.AllPartitionMapping())
"""Results of one tier change the ratings of the other tiers of its country; `new_results_sensor` selects them."""


def _spec(name: str, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        name,
        deps=[_ALL_MATCHES],
        description=description,
        group_name="data",
        kinds={"parquet"},
    )


@dg.multi_asset(
    specs=[
        _spec(
            "match_features",
            "Model input for every match of a competition, computed only from results up to the evening before it.",
        ),
        _spec(
            "team_states",
            "Ratings of every club after its last result, from which the next matches are forecast.",
        ),
    ],
    partitions_def=competitions,
    check_specs=[*checks.specs("match_features"), *checks.specs("team_states")],
)
def ratings(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], clock: dg.ResourceParam[Clock]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    """Compute both tables in one pass through the results. Either both are published or neither is.

    The pass covers all results of the country. For five tiers of twelve seasons it takes 20 ms, as long as checking
    whether an earlier pass could be continued.
    """
    competition = context.partition_key
    inputs = input_fingerprints.country_fingerprints(lake, competition)
    table = lake_tables.matches(lake, inputs)
    history = compute_ratings(table)
    frame, states = feature_frame(table, history.home, history.away), history.team_states
    frame, states = (table[table["competition"] == competition].reset_index(drop=True) for table in (frame, states))
    yield from checks.verify({Suite.FEATURES: frame, Suite.STATES: states}, clock.as_of())
    lake.write_table("match_features", competition, frame)
    lake.write_table("team_states", competition, states, STATES)
    input_fingerprints.record_rating_inputs(lake, competition, inputs)
    yield _feature_metadata(frame)
    yield _state_metadata(states)


def _feature_metadata(frame: pd.DataFrame) -> dg.MaterializeResult[None]:
    played = frame[frame["status"] == Status.PLAYED]
    return dg.MaterializeResult(
        asset_key="match_features",
        metadata={
            **rendering.of_table(frame, sample=played.drop(columns=["match_id", "competition"]).tail(5)),
            "summary": dg.MetadataValue.md(
                rendering.markdown(played.describe().T.rename_axis("feature").reset_index().drop(columns="count"))
            ),
        },
        data_version=dg.DataVersion(content_hash(frame)),
    )


def _state_metadata(states: pd.DataFrame) -> dg.MaterializeResult[None]:
    last = states["features_as_of"].max()
    ranked = states.sort_values("elo", ascending=False)[["team", "elo", "pi_home", "pi_away", "attack", "defence"]]
    return dg.MaterializeResult(
        asset_key="team_states",
        metadata={
            **rendering.of_table(states, sample=ranked),
            "features_as_of": "no result yet" if pd.isna(last) else dg.MetadataValue.timestamp(last.to_pydatetime()),
        },
        data_version=dg.DataVersion(content_hash(states)),
    )
