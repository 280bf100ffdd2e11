"""Everything Dagster knows about Touchline: wiring only."""

import dagster as dg

from orchestration.assets import (
    drift_report,
    forecasts,
    matches,
    outcome_model,
    performance,
    production_model,
    promotion_gate,
    ratings,
    season_forecast,
    settled_forecasts,
)
from orchestration.jobs import JOBS, backfill_weeks
from orchestration.partitions import with_weeks
from orchestration.resources import resources
from orchestration.schedules import SCHEDULES
from orchestration.sensors import SENSORS
from orchestration.settings import PipelineSettings

WEEKLY = [forecasts, settled_forecasts, drift_report]
OTHERS = [matches, ratings, outcome_model, season_forecast, performance, promotion_gate, production_model]


def build(settings: PipelineSettings) -> dg.Definitions:
    """The definitions for one installation.

    However many weeks are asked for on an asset's page, or by new results, they are one run. Dagster keeps that policy
    with the asset, and a job has that of its assets: so the job that makes a run of each week is made from the same
    assets without one.
    """
    wired, first = resources(settings), settings.first_published
    weekly = dg.load_assets_from_modules(WEEKLY, backfill_policy=dg.BackfillPolicy.single_run())
    without = with_weeks(dg.load_assets_from_modules(WEEKLY), first)
    a_run_each = dg.Definitions(assets=without, jobs=[backfill_weeks], resources=wired)
    return dg.Definitions(
        assets=with_weeks([*dg.load_assets_from_modules(OTHERS), *weekly], first),
        jobs=[*JOBS, a_run_each.resolve_job_def(backfill_weeks.name)],
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources=wired,
        # A step takes seconds; a process of its own would take longer to start than to run.
        executor=dg.in_process_executor,
    )


defs = build(PipelineSettings())
