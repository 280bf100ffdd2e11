"""Everything Dagster knows about Touchline: wiring only."""

import dagster as dg

from orchestration.assets import forecasts, match_features, matches, outcome_model, production_model
from orchestration.jobs import JOBS
from orchestration.resources import resources
from orchestration.settings import PipelineSettings


def build(settings: PipelineSettings) -> dg.Definitions:
    """The definitions for one installation."""
    modules = [matches, match_features, outcome_model, production_model, forecasts]
    return dg.Definitions(
        assets=dg.load_assets_from_modules(modules),
        jobs=JOBS,
        resources=resources(settings),
        # A step takes seconds; a process of its own would take longer to start than to run.
        executor=dg.in_process_executor,
    )


defs = build(PipelineSettings())
