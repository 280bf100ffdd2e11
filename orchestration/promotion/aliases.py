"""Move the registry aliases, and record who did it, when, why and on which evidence.

Moving the alias `production` is the promotion itself. The reason is tagged on the version before the alias moves, so
that every version in production has one. `previous` and the history are updated afterwards. If the process stops in
between, `complete_promotion` makes up for it.
"""

from __future__ import annotations

from datetime import datetime

from features.errors import CorruptArtefactError, ModelUnavailableError, PromotionBlockedError
from features.io import report_files
from features.io.promotion_log import (
    Decision,
    decision,
    history,
    is_logged,
    restorable_versions,
    tag_names,
    tagged_decisions,
    why_in_production,
)
from features.io.registry import PREVIOUS, PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from monitoring.conditions import Approval
from monitoring.first_version import Provisional
from monitoring.gate import GateDecision
from orchestration.promotion.evidence import APPROVAL_TAGS, approval_of
from orchestration.promotion.provisional import tags_of


def record_approval(registry: Registry, approval: Approval) -> None:
    """Tag a version with its approval."""
    values = (approval.by, approval.reason, approval.evidence_digest, approval.at.isoformat())
    registry.set_tags(approval.version, dict(zip(APPROVAL_TAGS, values, strict=True)))


def promote_first(
    registry: Registry, lake: Lake, candidate: ModelVersion, at: datetime, provisional: Provisional | None = None
) -> None:
    """Put the very first version into production; `provisional` says why it is so, None if it is not."""
    reason = "first version; better than the base rate, not worse than plain Elo"
    if provisional:
        reason = f"first version, provisional: {provisional.reason}"
        registry.set_tags(candidate.version, tags_of(provisional))
    _move(registry, lake, decision("promote", candidate.version, None, "touchline", reason, at, ""))


def promote(registry: Registry, lake: Lake, verdict: GateDecision) -> None:
    """Put the candidate into production; the version that it replaces becomes `previous`.

    Does nothing if the candidate is already in production.

    Raises
    ------
    PromotionBlockedError
        If a condition of the gate failed, or the aliases have moved since the gate was evaluated.
    """
    if not verdict.passed:
        raise PromotionBlockedError(f"version {verdict.candidate} was not promoted: {', '.join(verdict.failed)}")
    current = {
        alias: version.version if (version := registry.by_alias(alias)) else None for alias in (STAGING, PRODUCTION)
    }
    if current[PRODUCTION] == verdict.candidate:  # another process was faster
        return
    if current != {STAGING: verdict.candidate, PRODUCTION: verdict.production}:
        raise PromotionBlockedError(
            f"version {verdict.candidate} was not promoted: the aliases moved to {current} after it was evaluated"
        )
    complete_promotion(registry, lake)
    candidate = registry.version(verdict.candidate)
    approval = approval_of(candidate) if candidate else None
    by, reason = "touchline", "every condition of the promotion gate passed"
    # an approval of older evidence does not count
    if approval is not None and approval.evidence_digest == verdict.evidence_digest:
        by, reason = approval.by, approval.reason
    registry.remove_tags(verdict.candidate, tag_names("rollback"))
    entry = decision(
        "promote", verdict.candidate, verdict.production, by, reason, verdict.as_of, verdict.evidence_digest
    )
    _move(registry, lake, entry)


def rollback(registry: Registry, lake: Lake, by: str, reason: str, at: datetime) -> int:
    """Put the last version that was decided on back into production; returns its number.

    That is usually `previous`. If the alias was moved in MLflow, or its version deleted, it is the version of the last
    decision. The version that is replaced loses `staging` and its approval, so no sensor promotes it again at once.

    Raises
    ------
    PromotionBlockedError
        If name or reason is empty, there is no version to go back to, or it cannot be loaded.
    """
    if not by.strip() or not reason.strip():
        raise PromotionBlockedError("a rollback requires your name and a reason")
    complete_promotion(registry, lake)
    current, staged = registry.by_alias(PRODUCTION), registry.by_alias(STAGING)
    restored = version_to_restore(registry, lake)
    if restored is None:
        raise PromotionBlockedError("there is no previous version to go back to")
    try:
        registry.load(restored)
    except ModelUnavailableError as error:
        raise PromotionBlockedError(
            f"{error}; delete version {restored.version} in MLflow to go back to the one before it"
        ) from error
    if current is not None:
        rollback_tags = {"rolled_back_by": by, "rolled_back_because": reason, "rolled_back_at": at.isoformat()}
        registry.set_tags(current.version, rollback_tags)
        registry.remove_tags(current.version, APPROVAL_TAGS)
        if staged is not None and staged.version == current.version:
            registry.remove_alias(STAGING)
    replaced = current.version if current else None
    _move(registry, lake, decision("rollback", restored.version, replaced, by, reason, at, ""))
    return restored.version


def version_to_restore(registry: Registry, lake: Lake) -> ModelVersion | None:
    """The version that a rollback would put back into production; None if there is none."""
    return next(iter(restorable_versions(registry, history(lake))), None)


def has_incomplete_promotion(registry: Registry, lake: Lake) -> bool:
    """Whether the last change of production is missing from the history, or the history cannot be read."""
    entry = why_in_production(registry.by_alias(PRODUCTION))
    try:
        return entry is not None and not is_logged(entry, history(lake))
    except CorruptArtefactError:
        return True


def complete_promotion(registry: Registry, lake: Lake) -> None:
    """Finish an interrupted change of production; does nothing if there is none."""
    entry = why_in_production(registry.by_alias(PRODUCTION))
    try:
        past = history(lake)
    except CorruptArtefactError:  # rebuild it from the tags of the versions
        entries = [entry for version in registry.versions() for entry in tagged_decisions(version)]
        past = sorted(entries, key=lambda entry: (entry["at"], entry["version"]))
        lake.write_json(report_files.PROMOTIONS, {"promotions": past})
    if entry is not None and not is_logged(entry, past):
        _complete_move(registry, lake, entry)


def _move(registry: Registry, lake: Lake, entry: Decision) -> None:
    replaced = "" if entry["replaced"] is None else str(entry["replaced"])
    values = (entry["by"], entry["reason"], entry["at"], entry["evidence"], replaced)
    registry.set_tags(entry["version"], dict(zip(tag_names(entry["action"]), values, strict=True)))
    registry.set_alias(PRODUCTION, entry["version"])
    _complete_move(registry, lake, entry)


def _complete_move(registry: Registry, lake: Lake, entry: Decision) -> None:
    """Update `previous` and the history after the alias has moved. Safe to repeat."""
    if entry["action"] == "rollback":
        previous = registry.by_alias(PREVIOUS)
        if previous is not None and previous.version == entry["version"]:
            registry.remove_alias(PREVIOUS)
    elif entry["replaced"] is not None and registry.version(entry["replaced"]) is not None:  # it may have been deleted
        registry.set_alias(PREVIOUS, entry["replaced"])
    lake.write_json(report_files.PROMOTIONS, {"promotions": [*history(lake), entry]})
