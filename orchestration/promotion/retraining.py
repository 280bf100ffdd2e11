"""The run configuration of a retraining, and whether `staging` is free for its result."""

from __future__ import annotations

from datetime import datetime

from features.errors import ModelUnavailableError
from features.io import report_files
from features.io.registry import PRODUCTION, STAGING, Registry
from features.io.store import Lake
from monitoring.gate import blocks_replacement
from orchestration.steps import lake_tables

FIRST_TRAINING_CONFIG: dict[str, object] = {
    "ops": {"outcome_model": {"config": {"reason": "no version is in production yet"}}}
}
"""Run configuration of an installation's first training, on complete seasons only."""


def retraining_config(reason: str) -> dict[str, object]:
    """Run configuration of a retraining on all known results, including the current season's."""
    return {"ops": {"outcome_model": {"config": {"include_running_season": True, "reason": reason}}}}


def submission_config(submission: str) -> dict[str, object]:
    """Run configuration of the training of a submitted estimator; its reason is that of the submission."""
    return {"ops": {"outcome_model": {"config": {"submission": submission}}}}


def staging_busy(registry: Registry, lake: Lake, as_of: datetime) -> str | None:
    """Why no new version may replace the one in `staging` now; None if it may."""
    candidate, production = registry.by_alias(STAGING), registry.by_alias(PRODUCTION)
    if candidate is None or production is None or candidate.version == production.version:
        return None
    try:
        _ = candidate.trained_through
    except ModelUnavailableError:  # staged in MLflow; the gate can never evaluate it
        return None
    return blocks_replacement(lake_tables.read_report(lake, report_files.PROMOTION_GATE), candidate.version, as_of)
