"""Moving the aliases, and writing down who did it, when, why and on which evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from features.errors import GateShut
from features.io.registry import PREVIOUS, PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from monitoring.gate import Approval, Verdict
from orchestration import published
from orchestration.assessment import APPROVAL_TAGS, approval_of

HISTORY = "reports/promotions.json"


def history(lake: Lake) -> list[dict[str, Any]]:
    """Every change of the version in production, oldest first."""
    document = published.document(lake, HISTORY)
    return list(document["promotions"]) if document else []


def record_approval(registry: Registry, approval: Approval) -> None:
    """Write an approval on its version."""
    values = (approval.by, approval.reason, approval.evidence, approval.at.isoformat())
    registry.set_tags(approval.version, dict(zip(APPROVAL_TAGS, values, strict=True)))


def promote_first(registry: Registry, lake: Lake, candidate: ModelVersion, at: datetime) -> None:
    """Put the very first version into production."""
    reason = "first version; better than the base rate, not worse than plain Elo"
    registry.set_alias(PRODUCTION, candidate.version)
    registry.set_tags(candidate.version, _tags("touchline", reason, at, candidate.tags["data_digest"]))
    _note(lake, "promote", candidate.version, None, "touchline", reason, at, "")


def promote(registry: Registry, lake: Lake, verdict: Verdict) -> None:
    """Put the candidate of an open verdict into production; the version it replaces becomes `previous`.

    Raises
    ------
    GateShut
        If a condition of the verdict is shut, or the aliases have moved since it was given.
    """
    if not verdict.open:
        raise GateShut(f"version {verdict.candidate} is not promoted: {', '.join(verdict.shut)}")
    now = {alias: found.version if (found := registry.by_alias(alias)) else None for alias in (STAGING, PRODUCTION)}
    if now != {STAGING: verdict.candidate, PRODUCTION: verdict.production}:
        raise GateShut(f"version {verdict.candidate} is not promoted: it was judged before the aliases moved to {now}")
    candidate = registry.version(verdict.candidate)
    approval = approval_of(candidate) if candidate else None
    by, reason = (approval.by, approval.reason) if approval else ("touchline", "every condition of the gate is open")
    if verdict.production is not None:
        registry.set_alias(PREVIOUS, verdict.production)
    registry.set_alias(PRODUCTION, verdict.candidate)
    registry.set_tags(verdict.candidate, _tags(by, reason, verdict.as_of, verdict.evidence))
    _note(lake, "promote", verdict.candidate, verdict.production, by, reason, verdict.as_of, verdict.evidence)


def rollback(registry: Registry, lake: Lake, by: str, reason: str, at: datetime) -> int:
    """Put `previous` back into production; returns its version.

    The version taken out loses `staging` and its approval, so that no sensor puts it straight back.

    Raises
    ------
    GateShut
        If name or reason is empty, or there is no previous version.
    """
    if not by.strip() or not reason.strip():
        raise GateShut("a rollback needs the name of who does it and a reason")
    previous, current, staged = (registry.by_alias(alias) for alias in (PREVIOUS, PRODUCTION, STAGING))
    if previous is None:
        raise GateShut("there is no previous version to go back to")
    registry.set_alias(PRODUCTION, previous.version)
    registry.remove_alias(PREVIOUS)
    if current is not None:
        taken_out = {"rolled_back_by": by, "rolled_back_because": reason, "rolled_back_at": at.isoformat()}
        registry.set_tags(current.version, taken_out)
        registry.remove_tags(current.version, APPROVAL_TAGS)
        if staged is not None and staged.version == current.version:
            registry.remove_alias(STAGING)
    _note(lake, "rollback", previous.version, current.version if current else None, by, reason, at, "")
    return previous.version


def _tags(by: str, reason: str, at: datetime, evidence: str) -> dict[str, str]:
    return {
        "promoted_by": by,
        "promoted_because": reason,
        "promoted_at": at.isoformat(),
        "promoted_evidence": evidence,
    }


def _note(
    lake: Lake, action: str, version: int, replaced: int | None, by: str, reason: str, at: datetime, evidence: str
) -> None:
    entry = {
        "action": action,
        "version": version,
        "replaced": replaced,
        "by": by,
        "reason": reason,
        "at": at.isoformat(),
        "evidence": evidence,
    }
    lake.write_json(HISTORY, {"promotions": [*history(lake), entry]})
