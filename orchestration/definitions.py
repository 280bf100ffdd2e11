"""Everything Dagster knows about Touchline: wiring only."""

import dagster as dg

from orchestration.assets import (
    drift_report,
    forecasts,
    gate,
    matches,
    outcome_model,
    performance,
    production_model,
    ratings,
    season_forecast,
    settled_forecasts,
)
from orchestration.jobs import JOBS
from orchestration.partitions import with_weeks
from orchestration.resources import resources
from orchestration.schedules import SCHEDULES
from orchestration.sensors import SENSORS
from orchestration.settings import PipelineSettings

ASSETS = [
    matches,
    ratings,
    outcome_model,
    forecasts,
    season_forecast,
    settled_forecasts,
    performance,
    drift_report,
    gate,
    production_model,
]


def build(settings: PipelineSettings) -> dg.Definitions:
    """The definitions for one installation."""
    return dg.Definitions(
        assets=with_weeks(dg.load_assets_from_modules(ASSETS), settings.first_published),
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources=resources(settings),
        # A step takes seconds; a process of its own would take longer to start than to run.
        executor=dg.in_process_executor,
    )


defs = build(PipelineSettings())
