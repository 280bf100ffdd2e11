"""Weekly forecasts: published ones by the version in production, and shadow ones by the candidate."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pandas as pd

from features.errors import LeakageError
from features.forecasts import PUBLISHED, SCHEMA
from features.io.clock import Clock
from features.io.registry import PRODUCTION, STAGING, LoadedModel, Registry
from features.io.store import Lake, week_of
from monitoring.checks.suites import Suite
from orchestration import checks
from orchestration.automation import EAGER_ALL_WEEKS
from orchestration.partitions import weeks
from orchestration.settings import PipelineSettings
from orchestration.steps import input_fingerprints, lake_tables, rendering
from orchestration.steps.weekly_forecasts import forecasts_of_week, monday

METADATA_COLUMNS = ["kick_off", "home_team", "away_team", "home", "draw", "away", "model_version"]
_DEPS: list[dg.AssetDep] = [
    dg.AssetDep("matches", partition_mapping=dg.AllPartitionMapping()),
    dg.AssetDep("team_states", partition_mapping=dg.AllPartitionMapping()),
    dg.AssetDep("outcome_model"),
]


@dg.asset(
    partitions_def=weeks,
    deps=_DEPS,
    automation_condition=EAGER_ALL_WEEKS,
    check_specs=checks.specs("forecasts"),
    group_name="forecasts",
    kinds={"parquet"},
)
def forecasts(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    """Home, draw and away probabilities of every match of a week, by the version in production.

    After kick-off, a row never changes. Each row records the model version, the last match that it was trained on and
    the last result in the ratings, with expected goals, the likeliest scores and the contributions to the forecast.
    Weeks beyond `TOUCHLINE_FORECAST_HORIZON_WEEKS` are empty.
    A run covers any number of weeks, because new results require all of them every day.
    """
    production = registry.by_alias(PRODUCTION)
    if production is None:
        raise dg.Failure("no version is in production; run the job train_model first")
    inputs = input_fingerprints.match_fingerprints(lake, lake.partitions("matches"))
    model, table, as_of = registry.load(production), lake_tables.matches(lake, inputs), clock.as_of()
    last = week_of(as_of + timedelta(weeks=settings.forecast_horizon_weeks))
    before = {week: lake_tables.read_week(lake, "forecasts", week) for week in context.partition_keys}
    frames: dict[str, pd.DataFrame] = {}
    for week in context.partition_keys:
        if week > last:
            frames[week] = lake_tables.empty_table(SCHEMA)
            continue
        try:
            frames[week] = forecasts_of_week(model, table, week, as_of, clock.replaying, before[week])
        except LeakageError as error:
            raise dg.Failure(f"week {week}: {error}") from error
    yield from checks.verify({Suite.FORECASTS: _latest_rows(frames)}, as_of)
    written = set(lake.partitions("forecasts"))
    for week, frame in frames.items():
        # A write waits for the disk, so weeks that cannot have changed are skipped: past ones and those beyond the
        # horizon.
        final = week > last or (week in written and week < week_of(as_of))
        if not (final and frame[SCHEMA.names].equals(before[week][SCHEMA.names])):
            lake.write_table("forecasts", week, frame.reindex(columns=PUBLISHED.names), schema=PUBLISHED)
        metadata = {"kept": int((frame["kick_off"] <= as_of).sum()), "as_of": dg.MetadataValue.timestamp(as_of)}
        metadata |= rendering.of_table(frame, frame[METADATA_COLUMNS])
        context.add_asset_metadata(metadata, partition_key=week)
    input_fingerprints.record_forecast_inputs(lake, [week for week in frames if week <= last], week_of(as_of), inputs)
    yield dg.MaterializeResult()


def _latest_rows(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """All weeks as one table, with one row per match. A rescheduled match is in two weeks; the later one counts."""
    rows = pd.concat([frame.assign(week=week) for week, frame in frames.items()], ignore_index=True)
    latest = rows.groupby("match_id")["week"].transform("max")
    return rows[rows["week"] == latest].drop(columns="week").reset_index(drop=True)


@dg.asset(
    partitions_def=weeks,
    deps=_DEPS,
    automation_condition=EAGER_ALL_WEEKS,
    group_name="forecasts",
    kinds={"parquet"},
)
def shadow_forecasts(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Forecasts of a week by the candidate in `staging`: evidence for the promotion gate, never shown to users.

    Rows of earlier candidates stay, so that a version can still be compared after its promotion.
    """
    candidate, production = registry.by_alias(STAGING), registry.by_alias(PRODUCTION)
    is_new = candidate is not None and (production is None or candidate.version != production.version)
    model = registry.load(candidate) if candidate is not None and is_new else None
    table = lake_tables.matches(lake)
    for week in context.partition_keys:
        before = lake_tables.read_week(lake, "shadow_forecasts", week)
        frame = before if model is None else _with_shadow(model, table, week, clock, before)
        if not frame[SCHEMA.names].equals(before[SCHEMA.names]):
            lake.write_table("shadow_forecasts", week, frame, schema=SCHEMA)
        versions = sorted(int(version) for version in frame["model_version"].unique())
        metadata = {**rendering.of_table(frame, frame[METADATA_COLUMNS]), "versions": str(versions)}
        context.add_asset_metadata(metadata, partition_key=week)


def _with_shadow(
    model: LoadedModel, matches: pd.DataFrame, week: str, clock: Clock, before: pd.DataFrame
) -> pd.DataFrame:
    """The week's shadow table with the candidate's rows updated.

    A candidate that was trained on the current season cannot forecast weeks before its last training match.
    """
    by_candidate = before["model_version"] == model.version.version
    backdated = clock.replaying and monday(week) > model.version.trained_through
    rows = forecasts_of_week(
        model, matches, week, clock.as_of(), backdated, before[by_candidate].reset_index(drop=True)
    )
    filled = [part for part in (before[~by_candidate], rows) if not part.empty]
    return pd.concat(filled, ignore_index=True) if filled else lake_tables.empty_table(SCHEMA)
