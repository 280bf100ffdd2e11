"""Everything Dagster knows about Touchline: wiring only."""

import dagster as dg

from features.io.environment import prepare_environment
from orchestration.assets import (
    drift_report,
    forecasts,
    match_features,
    matches,
    outcome_model,
    performance,
    production_model,
    promotion_gate,
    season_forecast,
    settled_forecasts,
)
from orchestration.executors import training_executor
from orchestration.jobs import ASSET_JOBS, MANUAL_JOBS, TRAIN_MODEL, backfill_weeks
from orchestration.partitions import with_weeks
from orchestration.pending_pods import pending_pods_sensor
from orchestration.resources import resources
from orchestration.schedules import SCHEDULES
from orchestration.sensors import SENSORS
from orchestration.settings import PipelineSettings

WEEKLY = [forecasts, settled_forecasts, drift_report]
OTHERS = [matches, match_features, outcome_model, season_forecast, performance, promotion_gate, production_model]


def build(settings: PipelineSettings) -> dg.Definitions:
    """The definitions of one installation.

    A backfill from an asset's page, or one that new results trigger, is one run for all its weeks. Dagster keeps that
    policy with the asset, and a job follows the policy of its assets. `backfill_weeks`, which makes one run per week,
    is therefore built from the same assets without the policy.
    """
    wired, first = resources(settings), settings.first_published
    weekly = dg.load_assets_from_modules(WEEKLY, backfill_policy=dg.BackfillPolicy.single_run())
    weekly_without_policy = with_weeks(dg.load_assets_from_modules(WEEKLY), first)
    one_run_per_week = dg.Definitions(assets=weekly_without_policy, jobs=[backfill_weeks], resources=wired)
    train_model = dg.define_asset_job(
        TRAIN_MODEL,
        selection=["outcome_model", "production_model"],
        executor_def=training_executor(settings.k8s_step_pods),
        description="Train, evaluate and register a new version, which becomes the candidate in staging. The first "
        "version that is good enough goes into production.",
    )
    return dg.Definitions(
        assets=with_weeks([*dg.load_assets_from_modules(OTHERS), *weekly], first),
        jobs=[*ASSET_JOBS, *MANUAL_JOBS, train_model, one_run_per_week.resolve_job_def(backfill_weeks.name)],
        schedules=SCHEDULES,
        sensors=[*SENSORS, pending_pods_sensor],
        resources=wired,
        # A step takes seconds; a separate process would take longer to start than the step takes to run.
        executor=dg.in_process_executor,
    )


# The environment is read when this module is imported, because Dagster loads a code location by importing a module and
# looking for its `defs`: this import is the entry point.
prepare_environment()
defs = build(PipelineSettings())
