"""How a training is asked for, and when it would displace a candidate that has not had its chance yet."""

from __future__ import annotations

from datetime import datetime

from features.io import reports
from features.io.registry import PRODUCTION, STAGING, Registry
from features.io.store import Lake
from monitoring.gate import keeps_its_place
from orchestration.promotion.gate_report import GATE_REPORT
from orchestration.steps import lake_tables


def retraining(reason: str) -> dict[str, object]:
    """Run configuration of a retraining that uses every result known."""
    return {"ops": {"outcome_model": {"config": {"include_running_season": True, "reason": reason}}}}


def place_taken(registry: Registry, lake: Lake, as_of: datetime) -> str | None:
    """Why no new version may take `staging` now, whoever asks for it; None if it may."""
    candidate, production = registry.by_alias(STAGING), registry.by_alias(PRODUCTION)
    if candidate is None or production is None or candidate.version == production.version:
        return None
    return keeps_its_place(lake_tables.document(lake, GATE_REPORT), candidate.version, as_of)
