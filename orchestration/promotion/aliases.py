"""Move the registry aliases, and record who did it, when, why and on which evidence.

Moving the alias `production` is the promotion itself. The reason is tagged on the version before the alias moves, so
that every version in production has one. `previous` and the history are updated afterwards. If the process stops in
between, `complete_promotion` makes up for it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from features.errors import CorruptArtefactError, PromotionBlockedError
from features.io import report_files
from features.io.registry import PREVIOUS, PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from monitoring.conditions import Approval
from monitoring.gate import GateDecision
from orchestration.promotion.evidence import APPROVAL_TAGS, approval_of
from orchestration.steps import lake_tables

PREFIX = {"rollback": "restored", "promote": "promoted"}
"""Prefix of the tags that say why a version is in production; a later promotion removes the `restored` ones."""

FIELDS = ("by", "because", "at", "evidence", "instead_of")


def history(lake: Lake) -> list[dict[str, Any]]:
    """Every change of the version in production, oldest first."""
    document = lake_tables.read_report(lake, report_files.PROMOTIONS)
    return list(document["promotions"]) if document else []


def record_approval(registry: Registry, approval: Approval) -> None:
    """Tag a version with its approval."""
    values = (approval.by, approval.reason, approval.evidence_digest, approval.at.isoformat())
    registry.set_tags(approval.version, dict(zip(APPROVAL_TAGS, values, strict=True)))


def promote_first(registry: Registry, lake: Lake, candidate: ModelVersion, at: datetime) -> None:
    """Put the very first version into production."""
    reason = "first version; better than the base rate, not worse than plain Elo"
    _move(registry, lake, _history_entry("promote", candidate.version, None, "touchline", reason, at, ""))


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
    registry.remove_tags(verdict.candidate, _tags("restored"))
    entry = _history_entry(
        "promote", verdict.candidate, verdict.production, by, reason, verdict.as_of, verdict.evidence_digest
    )
    _move(registry, lake, entry)


def rollback(registry: Registry, lake: Lake, by: str, reason: str, at: datetime) -> int:
    """Put `previous` back into production; returns its version.

    The version that is replaced loses `staging` and its approval, so that no sensor promotes it again at once.

    Raises
    ------
    PromotionBlockedError
        If name or reason is empty, or there is no previous version.
    """
    if not by.strip() or not reason.strip():
        raise PromotionBlockedError("a rollback requires your name and a reason")
    complete_promotion(registry, lake)
    previous, current, staged = (registry.by_alias(alias) for alias in (PREVIOUS, PRODUCTION, STAGING))
    if previous is None:
        raise PromotionBlockedError("there is no previous version to go back to")
    if current is not None:
        rollback_tags = {"rolled_back_by": by, "rolled_back_because": reason, "rolled_back_at": at.isoformat()}
        registry.set_tags(current.version, rollback_tags)
        registry.remove_tags(current.version, APPROVAL_TAGS)
        if staged is not None and staged.version == current.version:
            registry.remove_alias(STAGING)
    replaced = current.version if current else None
    _move(registry, lake, _history_entry("rollback", previous.version, replaced, by, reason, at, ""))
    return previous.version


def has_incomplete_promotion(registry: Registry, lake: Lake) -> bool:
    """Whether the last change of production is missing from the history, or the history cannot be read."""
    entry = why_in_production(registry.by_alias(PRODUCTION))
    try:
        return entry is not None and not _is_logged(entry, history(lake))
    except CorruptArtefactError:
        return True


def complete_promotion(registry: Registry, lake: Lake) -> None:
    """Finish an interrupted change of production; does nothing if there is none."""
    entry = why_in_production(registry.by_alias(PRODUCTION))
    try:
        past = history(lake)
    except CorruptArtefactError:  # rebuild it from the tags of the versions
        entries = [entry for version in registry.versions() for entry in _tag_values(version)]
        past = sorted(entries, key=lambda entry: (entry["at"], entry["version"]))
        lake.write_json(report_files.PROMOTIONS, {"promotions": past})
    if entry is not None and not _is_logged(entry, past):
        _complete_move(registry, lake, entry)


def why_in_production(version: ModelVersion | None) -> dict[str, Any] | None:
    """The history entry of the change that put a version into production, read from the version's tags."""
    return next(iter(_tag_values(version)), None) if version else None


def _move(registry: Registry, lake: Lake, entry: dict[str, Any]) -> None:
    replaced = "" if entry["replaced"] is None else str(entry["replaced"])
    values = (entry["by"], entry["reason"], entry["at"], entry["evidence"], replaced)
    registry.set_tags(entry["version"], dict(zip(_tags(PREFIX[entry["action"]]), values, strict=True)))
    registry.set_alias(PRODUCTION, entry["version"])
    _complete_move(registry, lake, entry)


def _complete_move(registry: Registry, lake: Lake, entry: dict[str, Any]) -> None:
    """Update `previous` and the history after the alias has moved. Safe to repeat."""
    if entry["action"] == "rollback":
        if registry.by_alias(PREVIOUS) is not None:
            registry.remove_alias(PREVIOUS)
    elif entry["replaced"] is not None:
        registry.set_alias(PREVIOUS, entry["replaced"])
    lake.write_json(report_files.PROMOTIONS, {"promotions": [*history(lake), entry]})


def _is_logged(entry: dict[str, Any], past: list[dict[str, Any]]) -> bool:
    key = ("action", "version", "at")
    return any(all(logged[field] == entry[field] for field in key) for logged in past)


def _history_entry(
    action: str, version: int, replaced: int | None, by: str, reason: str, at: datetime, evidence: str
) -> dict[str, Any]:
    return {
        "action": action,
        "version": version,
        "replaced": replaced,
        "by": by,
        "reason": reason,
        "at": at.isoformat(),
        "evidence": evidence,
    }


def _tags(prefix: str) -> list[str]:
    return [f"{prefix}_{field}" for field in FIELDS]


def _tag_values(version: ModelVersion) -> list[dict[str, Any]]:
    """The history entries recorded in a version's tags, the newest first."""
    tags, entries = version.tags, []
    for action, prefix in PREFIX.items():
        if f"{prefix}_at" in tags:
            by, reason, at, evidence, replaced = (tags.get(name, "") for name in _tags(prefix))
            instead_of = int(replaced) if replaced else None
            entries.append(
                _history_entry(action, version.version, instead_of, by, reason, datetime.fromisoformat(at), evidence)
            )
    return entries
