"""Moving the aliases, and writing down who did it, when, why and on which evidence.

The alias `production` is the change itself. Why is written on the version before it moves, so that none is ever in
production without a reason; `previous` and the history follow after it, and `finish` makes up for them where a process
was stopped in between.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from features.errors import CorruptArtefactError, PromotionBlockedError
from features.io import reports
from features.io.registry import PREVIOUS, PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from monitoring.conditions import Approval
from monitoring.gate import Verdict
from orchestration.promotion.evidence import APPROVAL_TAGS, approval_of
from orchestration.steps import lake_tables

PREFIX = {"rollback": "restored", "promote": "promoted"}
"""How the tags on a version begin that tell why it is in production; a later promotion takes `restored` off again."""

FIELDS = ("by", "because", "at", "evidence", "instead_of")


def history(lake: Lake) -> list[dict[str, Any]]:
    """Every change of the version in production, oldest first."""
    document = lake_tables.document(lake, reports.PROMOTIONS)
    return list(document["promotions"]) if document else []


def record_approval(registry: Registry, approval: Approval) -> None:
    """Write an approval on its version."""
    values = (approval.by, approval.reason, approval.evidence, approval.at.isoformat())
    registry.set_tags(approval.version, dict(zip(APPROVAL_TAGS, values, strict=True)))


def promote_first(registry: Registry, lake: Lake, candidate: ModelVersion, at: datetime) -> None:
    """Put the very first version into production."""
    reason = "first version; better than the base rate, not worse than plain Elo"
    _move(registry, lake, _entry("promote", candidate.version, None, "touchline", reason, at, ""))


def promote(registry: Registry, lake: Lake, verdict: Verdict) -> None:
    """Put the candidate of an open verdict into production, if it is not there; what it replaces becomes `previous`.

    Raises
    ------
    PromotionBlockedError
        If a condition of the verdict is shut, or the aliases have moved since it was given.
    """
    if not verdict.open:
        raise PromotionBlockedError(f"version {verdict.candidate} is not promoted: {', '.join(verdict.shut)}")
    now = {alias: found.version if (found := registry.by_alias(alias)) else None for alias in (STAGING, PRODUCTION)}
    if now[PRODUCTION] == verdict.candidate:  # another process was faster
        return
    if now != {STAGING: verdict.candidate, PRODUCTION: verdict.production}:
        raise PromotionBlockedError(
            f"version {verdict.candidate} is not promoted: it was judged before the aliases moved to {now}"
        )
    finish(registry, lake)
    candidate = registry.version(verdict.candidate)
    approval = approval_of(candidate) if candidate else None
    by, reason = "touchline", "every condition of the gate is open"
    if approval is not None and approval.evidence == verdict.evidence:  # an older one approved something else
        by, reason = approval.by, approval.reason
    registry.remove_tags(verdict.candidate, _tags("restored"))
    entry = _entry("promote", verdict.candidate, verdict.production, by, reason, verdict.as_of, verdict.evidence)
    _move(registry, lake, entry)


def rollback(registry: Registry, lake: Lake, by: str, reason: str, at: datetime) -> int:
    """Put `previous` back into production; returns its version.

    The version taken out loses `staging` and its approval, so that no sensor puts it straight back.

    Raises
    ------
    PromotionBlockedError
        If name or reason is empty, or there is no previous version.
    """
    if not by.strip() or not reason.strip():
        raise PromotionBlockedError("a rollback needs the name of who does it and a reason")
    finish(registry, lake)
    previous, current, staged = (registry.by_alias(alias) for alias in (PREVIOUS, PRODUCTION, STAGING))
    if previous is None:
        raise PromotionBlockedError("there is no previous version to go back to")
    if current is not None:
        taken_out = {"rolled_back_by": by, "rolled_back_because": reason, "rolled_back_at": at.isoformat()}
        registry.set_tags(current.version, taken_out)
        registry.remove_tags(current.version, APPROVAL_TAGS)
        if staged is not None and staged.version == current.version:
            registry.remove_alias(STAGING)
    replaced = current.version if current else None
    _move(registry, lake, _entry("rollback", previous.version, replaced, by, reason, at, ""))
    return previous.version


def unfinished(registry: Registry, lake: Lake) -> bool:
    """Whether the last change of production is missing in the history, or the history cannot be read."""
    entry = why_in_production(registry.by_alias(PRODUCTION))
    try:
        return entry is not None and not _noted(entry, history(lake))
    except CorruptArtefactError:
        return True


def finish(registry: Registry, lake: Lake) -> None:
    """Make up for what a change of production that was cut off has left undone; nothing where nothing is."""
    entry = why_in_production(registry.by_alias(PRODUCTION))
    try:
        past = history(lake)
    except CorruptArtefactError:  # what stood there is on the versions too
        told = [one for version in registry.versions() for one in _told(version)]
        past = sorted(told, key=lambda one: (one["at"], one["version"]))
        lake.write_json(reports.PROMOTIONS, {"promotions": past})
    if entry is not None and not _noted(entry, past):
        _follow(registry, lake, entry)


def why_in_production(version: ModelVersion | None) -> dict[str, Any] | None:
    """The entry of the history that put a version into production, as it is written on the version itself."""
    return next(iter(_told(version)), None) if version else None


def _move(registry: Registry, lake: Lake, entry: dict[str, Any]) -> None:
    replaced = "" if entry["replaced"] is None else str(entry["replaced"])
    values = (entry["by"], entry["reason"], entry["at"], entry["evidence"], replaced)
    registry.set_tags(entry["version"], dict(zip(_tags(PREFIX[entry["action"]]), values, strict=True)))
    registry.set_alias(PRODUCTION, entry["version"])
    _follow(registry, lake, entry)


def _follow(registry: Registry, lake: Lake, entry: dict[str, Any]) -> None:
    """What comes after the alias has moved; done twice it does no harm."""
    if entry["action"] == "rollback":
        if registry.by_alias(PREVIOUS) is not None:
            registry.remove_alias(PREVIOUS)
    elif entry["replaced"] is not None:
        registry.set_alias(PREVIOUS, entry["replaced"])
    lake.write_json(reports.PROMOTIONS, {"promotions": [*history(lake), entry]})


def _noted(entry: dict[str, Any], past: list[dict[str, Any]]) -> bool:
    same = ("action", "version", "at")
    return any(all(one[name] == entry[name] for name in same) for one in past)


def _entry(
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


def _told(version: ModelVersion) -> list[dict[str, Any]]:
    """What the tags of a version tell of its ways into production, the newest first."""
    tags, found = version.tags, []
    for action, prefix in PREFIX.items():
        if f"{prefix}_at" in tags:
            by, reason, at, evidence, replaced = (tags.get(name, "") for name in _tags(prefix))
            moment = datetime.fromisoformat(at)
            instead = int(replaced) if replaced else None
            found.append(_entry(action, version.version, instead, by, reason, moment, evidence))
    return found
