"""Which conditions of a promotion are open, and why the others are shut."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from features.errors import CorruptArtefactError
from features.io import reports
from features.io.clock import Clock
from features.io.registry import PREVIOUS, PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from monitoring.gate import Verdict, as_document, nothing_staged
from orchestration.automation import FOLLOW
from orchestration.checks import CRITICAL
from orchestration.promotion.evidence import assess, critical_checks
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables


@dg.asset(
    deps=["shadow_forecasts", "performance", "drift_report"],
    automation_condition=FOLLOW,
    group_name="promotion",
    pool="promotion",  # a verdict is never published over that of a promotion it has not seen
    kinds={"json"},
)
def promotion_gate(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.MaterializeResult[None]:
    """Whether the version in `staging` may go into production: one line per condition, open or shut, and why.

    It is judged by its shadow forecasts on settled matches, beside those that production published for the same ones.
    """
    return dg.MaterializeResult(metadata=publish(context.instance, lake, registry, clock, settings))


def publish(
    instance: dg.DagsterInstance, lake: Lake, registry: Registry, clock: Clock, settings: PipelineSettings
) -> dict[str, Any]:
    """Judge the candidate as things stand and publish the verdict; returns what a person is shown of it."""
    checks = critical_checks(instance, CRITICAL)
    verdict = assess(lake, registry, clock.as_of(), settings.promotion_policy, checks)
    production, previous = (
        found.version if (found := registry.by_alias(alias)) else None for alias in (PRODUCTION, PREVIOUS)
    )
    if verdict is None:
        why = _nothing_staged_because(registry.versions())
        lake.write_json(
            reports.PROMOTION_GATE, nothing_staged(production, settings.promotion_policy, clock.as_of(), previous, why)
        )
        return {"open": False, "why": why}
    lake.write_json(reports.PROMOTION_GATE, as_document(verdict, datetime.now(UTC), _before(lake), previous))
    return shown(verdict)


def _nothing_staged_because(versions: Sequence[ModelVersion]) -> str:
    """What became of the version that was staged last: only a rollback takes that away without a successor."""
    last = max(versions, key=lambda one: (one.tags.get("rolled_back_at", ""), one.version), default=None)
    return f"no version is staged; version {last.version} {became_of(last)}" if last else "no version is staged"


def became_of(version: ModelVersion) -> str:
    """What role a version has, or why it has none, to be read after its number."""
    roles = {PRODUCTION: "is in production", STAGING: "is staged already", PREVIOUS: "was in production before"}
    for alias, role in roles.items():
        if alias in version.aliases:
            return role
    if "rolled_back_at" in version.tags:
        by, why, at = (version.tags.get(f"rolled_back_{name}", "") for name in ("by", "because", "at"))
        return f"was rolled back by {by} on {at[:10]} ({why})"
    return "has lost its place to another"


def _before(lake: Lake) -> dict[str, Any] | None:
    """The verdict published last; a damaged one is replaced, not mourned."""
    try:
        return lake_tables.document(lake, reports.PROMOTION_GATE)
    except CorruptArtefactError:
        return None


def shown(verdict: Verdict) -> dict[str, Any]:
    """The verdict as metadata. The conditions are a list: of a table Dagster would cut off the last column, the why."""
    lines = [
        f"- **{'open' if one.open else 'SHUT'}** `{one.name}`: {one.why} ({one.value}; needed: {one.threshold})"
        for one in verdict.conditions
    ]
    return {
        "open": verdict.open,
        "candidate": verdict.candidate,
        "production": verdict.production if verdict.production is not None else "none",
        "conditions": dg.MetadataValue.md("\n".join(lines)),
        "evidence": verdict.evidence or "none",
        "waits_for_a_person": verdict.waiting_for_approval,
    }
