"""Which conditions of a promotion are open, and why the others are shut."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd

from features.io.clock import Clock
from features.io.registry import PRODUCTION, Registry
from features.io.store import Lake
from monitoring.gate import Verdict, as_document, nothing_staged
from orchestration import display, published
from orchestration.assessment import assess, critical_checks
from orchestration.automation import FOLLOW
from orchestration.checks import CRITICAL
from orchestration.settings import PipelineSettings

GATE = "reports/gate.json"


@dg.asset(
    deps=["outcome_model", "shadow_forecasts", "performance", "drift_report"],
    automation_condition=FOLLOW,
    group_name="promotion",
    kinds={"json"},
)
def gate(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.MaterializeResult[None]:
    """Whether the version in `staging` may go into production: one line per condition, open or shut, and why.

    It is judged by its shadow forecasts on settled matches, beside those that production published for the same ones.
    """
    checks = critical_checks(context.instance, CRITICAL)
    verdict = assess(lake, registry, clock.as_of(), settings.promotion_policy, checks)
    if verdict is None:
        production = registry.by_alias(PRODUCTION)
        number = production.version if production else None
        lake.write_json(GATE, nothing_staged(number, settings.promotion_policy, clock.as_of()))
        return dg.MaterializeResult(metadata={"open": False, "why": "no version is staged"})
    lake.write_json(GATE, as_document(verdict, datetime.now(UTC), published.document(lake, GATE)))
    return dg.MaterializeResult(metadata=shown(verdict))


def shown(verdict: Verdict) -> dict[str, Any]:
    """The verdict as metadata, the conditions as a table."""
    rows = [
        {
            "condition": one.name,
            "": "open" if one.open else "**shut**",
            "value": one.value,
            "needed": one.threshold,
            "why": one.why,
        }
        for one in verdict.conditions
    ]
    return {
        "open": verdict.open,
        "candidate": verdict.candidate,
        "production": verdict.production if verdict.production is not None else "none",
        "conditions": dg.MetadataValue.md(display.markdown(pd.DataFrame(rows))),
        "evidence": verdict.evidence or "none",
        "waits_for_a_person": verdict.waiting_for_approval,
    }
