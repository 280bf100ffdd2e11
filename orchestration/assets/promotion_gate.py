"""The promotion gate: which conditions passed, which failed, and why."""

import dagster as dg

from features.io.clock import Clock
from features.io.registry import Registry
from features.io.store import Lake
from orchestration.automation import EAGER_WITH_MISSING
from orchestration.promotion.gate_report import publish_gate_report
from orchestration.settings import PipelineSettings


@dg.asset(
    deps=["shadow_forecasts", "performance", "drift_report"],
    automation_condition=EAGER_WITH_MISSING,
    group_name="promotion",
    pool="promotion",  # never beside a promotion, whose newer gate report it could overwrite
    kinds={"json"},
)
def promotion_gate(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.MaterializeResult[None]:
    """Whether the version in `staging` may go into production: which conditions passed or failed, with reasons.

    The candidate's shadow forecasts on settled matches are compared with what production published for the same
    matches.
    """
    return dg.MaterializeResult(metadata=publish_gate_report(context.instance, lake, registry, clock, settings))
