"""Published forecasts, a week at a time."""

import dagster as dg
import pandas as pd

from features.errors import LeakageError, NotPublished
from features.forecasts import SCHEMA
from features.io.clock import Clock
from features.io.registry import PRODUCTION, Registry
from features.io.store import Lake
from orchestration import display
from orchestration.assets.match_features import published_matches
from orchestration.partitions import weeks
from orchestration.publishing import forecasts_of_week, nothing

EVERY_COMPETITION = dg.AllPartitionMapping()
_SHOWN = ["kick_off", "home_team", "away_team", "home", "draw", "away", "model_version"]


def published_week(lake: Lake, noun: str, week: str) -> pd.DataFrame:
    """One week of a forecasts table; empty where nothing is published."""
    try:
        return lake.read_table(noun, week, schema=SCHEMA)
    except NotPublished:
        return nothing()


@dg.asset(
    partitions_def=weeks,
    deps=[
        dg.AssetDep("matches", partition_mapping=EVERY_COMPETITION),
        dg.AssetDep("team_states", partition_mapping=EVERY_COMPETITION),
        "outcome_model",
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="forecasts",
    kinds={"parquet"},
)
def forecasts(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Home, draw and away probabilities of every match of a week, made by the version in production.

    Once a match has kicked off its row is history and never changes. Each row tells the model's version, the last match
    that model was trained on and the last result its ratings had seen.
    """
    production = registry.by_alias(PRODUCTION)
    if production is None:
        raise dg.Failure("no version is in production; materialise outcome_model and production_model first")
    model, table, as_of = registry.load(production), published_matches(lake), clock.as_of()
    for week in context.partition_keys:
        before = published_week(lake, "forecasts", week)
        try:
            frame = forecasts_of_week(model, table, week, as_of, clock.replaying, before)
        except LeakageError as error:
            raise dg.Failure(f"week {week}: {error}") from error
        lake.write_table("forecasts", week, frame, schema=SCHEMA)
        seen = {
            **display.of_table(frame, sample=frame[_SHOWN]),
            "as_of": dg.MetadataValue.timestamp(as_of),
            "kept": int((frame["kick_off"] <= as_of).sum()),
        }
        context.add_asset_metadata(seen, partition_key=week)
