"""The log of decisions about the version in production, and whether a decision stands behind the present one.

A decision is a promotion by the gate or a rollback by a person. Whoever reaches MLflow can move the alias `production`
without one, remove it, or delete its version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from features.errors import CorruptArtefactError, ModelUnavailableError, NotPublishedError
from features.io import report_files
from features.io.registry import MODEL_NAME, PREVIOUS, PRODUCTION, ModelVersion
from features.io.store import Lake

PREFIX = {"rollback": "restored", "promote": "promoted"}
"""Prefix of the tags that say why a version is in production; a later promotion removes the `restored` ones."""

FIELDS = ("by", "because", "at", "evidence", "instead_of")

Decision = dict[str, Any]


class VersionSource(Protocol):
    """What is needed of a model registry, such as `features.io.registry.Registry`."""

    def by_alias(self, alias: str, /) -> ModelVersion | None: ...

    def versions(self) -> Sequence[ModelVersion]: ...


def history(lake: Lake) -> list[Decision]:
    """Every decision, oldest first.

    Raises
    ------
    CorruptArtefactError
        If the log cannot be read.
    """
    try:
        return list(lake.read_json(report_files.PROMOTIONS)["promotions"])
    except NotPublishedError:
        return []


def tag_names(action: str) -> list[str]:
    """Names of the tags that record a decision on the version."""
    return [f"{PREFIX[action]}_{field}" for field in FIELDS]


def decision(
    action: str, version: int, replaced: int | None, by: str, reason: str, at: datetime, evidence: str
) -> Decision:
    """Build an entry of the log; `action` is `promote` or `rollback`."""
    return {
        "action": action,
        "version": version,
        "replaced": replaced,
        "by": by,
        "reason": reason,
        "at": at.isoformat(),
        "evidence": evidence,
    }


def tagged_decisions(version: ModelVersion) -> list[Decision]:
    """The decisions recorded in a version's tags, the newest first."""
    tags, entries = version.tags, []
    for action, prefix in PREFIX.items():
        if f"{prefix}_at" in tags:
            by, reason, at, evidence, replaced = (tags.get(name, "") for name in tag_names(action))
            instead_of = int(replaced) if replaced else None
            entries.append(
                decision(action, version.version, instead_of, by, reason, datetime.fromisoformat(at), evidence)
            )
    return entries


def why_in_production(version: ModelVersion | None) -> Decision | None:
    """The decision that put a version into production, read from the version's tags."""
    return next(iter(tagged_decisions(version)), None) if version else None


def is_logged(entry: Mapping[str, Any], past: Sequence[Decision]) -> bool:
    """Whether a decision is in the log."""
    key = ("action", "version", "at")
    return any(all(logged[field] == entry[field] for field in key) for logged in past)


def has_decision(production: ModelVersion, past: Sequence[Decision]) -> bool:
    """Whether the last decision put this version into production.

    The tags of a decision are written before the alias moves, and the log after it. A version whose tags are not in the
    log is therefore decided on. Tags that are in the log may be of an earlier time in production.
    """
    entry = why_in_production(production)
    if entry is not None and not is_logged(entry, past):
        return True
    return bool(past) and bool(past[-1]["version"] == production.version)


def describe_undecided(production: ModelVersion | None, past: Sequence[Decision]) -> str | None:
    """Say that no decision stands behind what is in production, and what the last decision was; None if one does."""
    if production is None and not past:
        return None
    if production is not None and has_decision(production, past):
        return None
    if production is None:
        what = "no version is in production: the alias was removed, or its version was deleted"
    else:
        what = f"version {production.version} is in production without a decision: the alias was moved in MLflow"
    if not past:
        return f"{what}; no decision is recorded"
    last = past[-1]
    return (
        f"{what}; the last decision put version {last['version']} into production "
        f"({last.get('by', '')}, {last['at'][:16]}: {last.get('reason', '')})"
    )


def restorable_versions(registry: VersionSource, past: Sequence[Decision]) -> list[ModelVersion]:
    """The versions that a rollback may restore, the first choice first.

    It is the last version that was decided on and is not in production, then `previous`, then earlier decisions.
    Versions that were rolled back or deleted are left out.
    """
    existing = {version.version: version for version in registry.versions()}
    production, previous = registry.by_alias(PRODUCTION), registry.by_alias(PREVIOUS)
    last = [past[-1]["version"]] if past else []
    earlier = [
        entry["version"]
        for entry in reversed(past)
        if entry["version"] in existing and "rolled_back_at" not in existing[entry["version"]].tags
    ]
    numbers = [*last, *([previous.version] if previous else []), *earlier]
    current = production.version if production else None
    return [existing[number] for number in dict.fromkeys(numbers) if number in existing and number != current]


def version_to_serve(
    registry: VersionSource, lake: Lake, require_decision: bool
) -> tuple[ModelVersion | None, str | None]:
    """The version to forecast with, and a sentence if it is not the one with the alias `production`.

    Parameters
    ----------
    require_decision : use only versions that were decided on: instead of any other one, the version of the last
        decision.

    Raises
    ------
    ModelUnavailableError
        If a decision is required, none stands behind the version in production, and there is no other version to use.
    """
    production = registry.by_alias(PRODUCTION)
    if not require_decision:
        return production, None
    try:
        past = history(lake)
    except CorruptArtefactError:  # orchestration rebuilds it from the tags
        past = []
    refusal = describe_undecided(production, past)
    if refusal is None:
        return production, None
    substitute = next(iter(restorable_versions(registry, past)), None)
    if substitute is None:
        raise ModelUnavailableError(f"no version of {MODEL_NAME} may be used: {refusal}")
    return substitute, f"{refusal}; version {substitute.version} is used"
