"""Dagster metadata about the version in production: why it is there, all versions, and the history of promotions."""

import hashlib
from typing import Any

import dagster as dg
import pandas as pd

from features.errors import CorruptArtefactError
from features.io import promotion_log
from features.io.registry import PRODUCTION, ModelVersion, Registry
from features.io.store import Lake
from orchestration.promotion import aliases
from orchestration.promotion.provisional import provisional_of
from orchestration.steps import rendering


def production_metadata(registry: Registry, lake: Lake) -> dict[str, dg.MetadataValue]:
    """Which version is in production and why, all versions, and every promotion and rollback so far."""
    past = promotion_log.history(lake)
    production = registry.by_alias(PRODUCTION)
    provisional = provisional_of(production)
    entry = promotion_log.why_in_production(production)
    why = f"{entry['by']}, {entry['at'][:16]}: {entry['reason']}" if entry else "no reason recorded"
    why = promotion_log.describe_undecided(production, past) or why
    versions = pd.DataFrame([_version_row(version) for version in registry.versions()])
    history = pd.DataFrame([_history_row(entry) for entry in reversed(past)])
    return {
        "version": dg.MetadataValue.text(production_version(registry)),
        "because": dg.MetadataValue.text(why),
        **({"provisional": dg.MetadataValue.text(provisional.reason)} if provisional else {}),
        "evidence": dg.MetadataValue.text(rollback_evidence(registry, lake)),
        "versions": dg.MetadataValue.md(rendering.markdown(versions)),
        "history": dg.MetadataValue.md(rendering.markdown(history)),
    }


def production_version(registry: Registry) -> str:
    """Number of the version in production, or "none"."""
    version = registry.by_alias(PRODUCTION)
    return str(version.version) if version else "none"


def undecided_production(registry: promotion_log.VersionSource, lake: Lake) -> str | None:
    """Who is in production without a decision, as a sentence; None if a decision stands behind it."""
    try:
        return promotion_log.describe_undecided(registry.by_alias(PRODUCTION), promotion_log.history(lake))
    except CorruptArtefactError:  # the next promotion run rebuilds the log
        return None


def rollback_evidence(registry: Registry, lake: Lake) -> str:
    """What a rollback must quote: a digest of the versions that it exchanges.

    The ids of training runs are random, so a web page that may start a run but not read Dagster cannot know it.
    """
    exchanged = [registry.by_alias(PRODUCTION), aliases.version_to_restore(registry, lake)]
    facts = [f"{version.version} {version.run_id}" if version else "none" for version in exchanged]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _version_row(version: ModelVersion) -> dict[str, object]:
    return {
        "version": version.version,
        "aliases": ", ".join(version.aliases),
        "created": version.created_at,
        "trained through": version.tags.get("trained_through", "")[:10],
        "why trained": version.tags.get("trained_because", ""),
    }


def _history_row(entry: dict[str, Any]) -> dict[str, object]:
    """A promotion or rollback, with the most important columns first, because a narrow window cuts off the rest."""
    return {
        "at": pd.Timestamp(entry["at"]),
        "version": entry["version"],
        "": "promoted" if entry["action"] == "promote" else "rolled back",
        "instead of": None if entry["replaced"] is None else str(entry["replaced"]),
        "by": entry["by"],
        "why": entry["reason"],
        "evidence": entry["evidence"] or None,
    }
