"""Dagster metadata about the version in production: why it is there, all versions, and the history of promotions."""

from typing import Any

import dagster as dg
import pandas as pd

from features.io.registry import PRODUCTION, ModelVersion, Registry
from features.io.store import Lake
from orchestration.promotion import aliases
from orchestration.steps import rendering


def production_metadata(registry: Registry, lake: Lake) -> dict[str, dg.MetadataValue]:
    """Which version is in production and why, all versions, and every promotion and rollback so far."""
    entry = aliases.why_in_production(registry.by_alias(PRODUCTION))
    why = f"{entry['by']}, {entry['at'][:16]}: {entry['reason']}" if entry else "no reason recorded"
    versions = pd.DataFrame([_version_row(version) for version in registry.versions()])
    history = pd.DataFrame([_history_row(entry) for entry in reversed(aliases.history(lake))])
    return {
        "version": dg.MetadataValue.text(production_version(registry)),
        "because": dg.MetadataValue.text(why),
        "versions": dg.MetadataValue.md(rendering.markdown(versions)),
        "history": dg.MetadataValue.md(rendering.markdown(history)),
    }


def production_version(registry: Registry) -> str:
    """Number of the version in production, or "none"."""
    version = registry.by_alias(PRODUCTION)
    return str(version.version) if version else "none"


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
