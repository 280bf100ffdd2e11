"""Weekly forecasts: published ones by the version in production, and shadow ones by the candidate."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg
import pandas as pd

from features.errors import LeakageError
from features.forecasts import SCHEMA
from features.io.clock import Clock
from features.io.promotion_log import version_to_serve
from features.io.registry import PRODUCTION, STAGING, LoadedModel, Registry
from features.io.store import Lake, week_of
from monitoring.checks.suites import Suite
from orchestration import checks
from orchestration.automation import EAGER_ALL_WEEKS
from orchestration.partitions import weeks
from orchestration.settings import PipelineSettings
from orchestration.steps import input_fingerprints, lake_tables, rendering
from orchestration.steps.publication import ForecastRun
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
    pool="publication",  # a week has one writer; the table is read again when it is written, for any other
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
    production, notice = version_to_serve(registry, lake, settings.require_promotion_decision)
    if production is None:
        raise dg.Failure("no version is in production; run the job train_model first")
    if notice is not None:
        context.log.warning(notice)
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

    def is_superseded() -> bool:
        current, _ = version_to_serve(registry, lake, settings.require_promotion_decision)
        if current is None or current.version == production.version:
            return False
        context.log.warning(f"version {current.version} went into production during this run; its forecasts stay")
        return True

    run = ForecastRun(production.version, as_of, table, clock.as_of, is_superseded)
    for week, frame in frames.items():
        # A write waits for the disk, so weeks that cannot have changed are skipped: past ones and those beyond the
        # horizon.
        final = week > last or (week in written and week < week_of(as_of))
        if not (final and frame[SCHEMA.names].equals(before[week][SCHEMA.names])):
            frame = run.publish(lake, week, frame)
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
    pool="shadow",
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
    table, as_of = lake_tables.matches(lake), clock.as_of()
    for week in context.partition_keys:
        frame = lake_tables.read_week(lake, "shadow_forecasts", week)
        if model is not None:
            rows = _by_candidate(model, table, week, as_of, clock.replaying, frame)
            run = ForecastRun(model.version.version, as_of, table, clock.as_of, lambda: False)
            frame = run.publish_shadow(lake, week, rows)
        versions = sorted(int(version) for version in frame["model_version"].unique())
        metadata = {**rendering.of_table(frame, frame[METADATA_COLUMNS]), "versions": str(versions)}
        context.add_asset_metadata(metadata, partition_key=week)


def _by_candidate(
    model: LoadedModel, matches: pd.DataFrame, week: str, as_of: datetime, replaying: bool, before: pd.DataFrame
) -> pd.DataFrame:
    """The candidate's rows of a week.

    A candidate that was trained on the current season cannot forecast weeks before its last training match.
    """
    own = before[before["model_version"] == model.version.version].reset_index(drop=True)
    backdated = replaying and monday(week) > model.version.trained_through
    return forecasts_of_week(model, matches, week, as_of, backdated, own)
