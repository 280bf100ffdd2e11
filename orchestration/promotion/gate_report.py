"""The published decision of the promotion gate: how it is written and shown, and the role of the version."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from features.errors import CorruptArtefactError
from features.io import report_files
from features.io.clock import Clock
from features.io.registry import PREVIOUS, PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from monitoring.gate import GateDecision, no_candidate_document, to_dict
from orchestration.checks import CRITICAL
from orchestration.promotion.evidence import critical_checks, evaluate_candidate
from orchestration.promotion.production_report import undecided_production
from orchestration.promotion.provisional import update_provisional
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables, rendering


def publish_gate_report(
    instance: dg.DagsterInstance, lake: Lake, registry: Registry, clock: Clock, settings: PipelineSettings
) -> dict[str, Any]:
    """Evaluate the candidate as of now and publish the decision; returns its metadata for the Dagster UI."""
    checks = critical_checks(instance, CRITICAL)
    verdict = evaluate_candidate(lake, registry, clock.as_of(), settings.promotion_policy, checks)
    production, previous = (
        version.version if (version := registry.by_alias(alias)) else None for alias in (PRODUCTION, PREVIOUS)
    )
    provisional = update_provisional(registry, lake)
    shown = {"provisional": rendering.as_text(provisional.reason)} if provisional else {}
    if verdict is None:
        why = _reason_nothing_is_staged(registry.versions())
        report = no_candidate_document(production, settings.promotion_policy, clock.as_of(), previous, why)
        metadata: dict[str, Any] = {"passed": False, "why": why, "production": _number(production)}
    else:
        report = to_dict(verdict, datetime.now(UTC), _last_report(lake), previous)
        metadata = gate_metadata(verdict)
    undecided = undecided_production(registry, lake)
    report["provisional"] = provisional.to_dict() if provisional else None
    report["undecided_production"] = undecided
    lake.write_json(report_files.PROMOTION_GATE, report)
    notices = {} if undecided is None else {"production_without_decision": rendering.as_text(undecided)}
    return {**notices, **metadata, **shown}


def gate_metadata(verdict: GateDecision) -> dict[str, Any]:
    """The decision as Dagster metadata.

    The conditions are a list, because Dagster would cut off the last column of a table, the reason.
    """
    lines = [
        f"- **{'passed' if condition.passed else 'FAILED'}** `{condition.name}`: {rendering.as_text(condition.why)} "
        f"({rendering.as_text(condition.value)}; required: {rendering.as_text(condition.threshold)})"
        for condition in verdict.conditions
    ]
    return {
        "passed": verdict.passed,
        "candidate": verdict.candidate,
        "production": _number(verdict.production),
        "conditions": dg.MetadataValue.md("\n".join(lines)),
        "evidence": verdict.evidence_digest or "none",
        "waits_for_a_person": verdict.waiting_for_approval,
    }


def _number(version: int | None) -> int | str:
    return "none" if version is None else version


def describe_role(version: ModelVersion) -> str:
    """The role of a version, or why it has none, as a predicate: "is in production"."""
    roles = {PRODUCTION: "is in production", STAGING: "is staged already", PREVIOUS: "was in production before"}
    for alias, role in roles.items():
        if alias in version.aliases:
            return role
    if "rolled_back_at" in version.tags:
        by, why, at = (version.tags.get(f"rolled_back_{field}", "") for field in ("by", "because", "at"))
        return f"was rolled back by {by} on {at[:10]} ({why})"
    return "was replaced in staging by another version"


def _reason_nothing_is_staged(versions: Sequence[ModelVersion]) -> str:
    """That no version is staged, and what happened to the last one. Only a rollback leaves `staging` empty."""
    last = max(versions, key=lambda version: (version.tags.get("rolled_back_at", ""), version.version), default=None)
    return f"no version is staged; version {last.version} {describe_role(last)}" if last else "no version is staged"


def _last_report(lake: Lake) -> dict[str, Any] | None:
    """The decision published last; None if it cannot be read, since it is about to be replaced."""
    try:
        return lake_tables.read_report(lake, report_files.PROMOTION_GATE)
    except CorruptArtefactError:
        return None
