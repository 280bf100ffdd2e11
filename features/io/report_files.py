"""Documents below `reports/` in the lake: the paths of all, and how to read drift summaries.

Orchestration writes them. The API and the Prometheus exporter read them.
"""

from __future__ import annotations

from typing import Any

from features.io.store import Lake

FRESHNESS = "reports/freshness.json"
PERFORMANCE = "reports/performance.json"
PROMOTION_GATE = "reports/gate.json"
PROMOTIONS = "reports/promotions.json"

_DRIFT = "reports/drift"
_SUMMARY = "summary.json"

_RENAMED_FIELDS = {"left_out": "excluded_competitions"}
"""Fields of a drift summary that version 0.1 wrote under another name. Reports of old weeks are never rewritten."""


def evaluation_path(version: int) -> str:
    """Return the path of the walk-forward evaluation of a model version (JSON)."""
    return f"reports/evaluation/version={version}/{_SUMMARY}"


def drift_summary_path(week: str) -> str:
    """Return the path of the figures of a week's drift report (JSON).

    Parameters
    ----------
    week : Monday of the week, YYYY-MM-DD.
    """
    return f"{_DRIFT}/week={week}/{_SUMMARY}"


def drift_page_path(week: str) -> str:
    """Return the path of a week's drift report (HTML page)."""
    return f"{_DRIFT}/week={week}/report.html"


def drift_review_path(week: str) -> str:
    """Return the path of a person's review of a week's drift report (JSON)."""
    return f"{_DRIFT}/week={week}/review.json"


def drift_calibration_path(content_hash: str) -> str:
    """Return the path of the drift thresholds that were calibrated on a history, by its content hash (JSON)."""
    return f"{_DRIFT}/trust/{content_hash}.json"


def drift_weeks(lake: Lake) -> list[str]:
    """List the weeks with a drift report, oldest first."""
    names = [name for name in lake.list(_DRIFT) if name.endswith(f"/{_SUMMARY}")]
    return sorted(name.partition("/")[0].removeprefix("week=") for name in names)


def latest_drift_week(lake: Lake) -> str | None:
    """Return the week of the newest drift report; None if there is none."""
    return max(drift_weeks(lake), default=None)


def drift_summary(lake: Lake, week: str) -> dict[str, Any]:
    """Read the figures of a week's drift report; fields that were renamed get their current names.

    Raises
    ------
    NotPublishedError
        If there is no report for the week.
    CorruptArtefactError
        If it is not readable as JSON.
    """
    summary = lake.read_json(drift_summary_path(week))
    return {_RENAMED_FIELDS.get(name, name): value for name, value in summary.items()}
