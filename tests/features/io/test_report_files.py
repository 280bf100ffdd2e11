"""Paths of the lake's reports are a contract: operators, backups and earlier versions know them."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import NotPublishedError
from features.io import report_files
from features.io.store import Lake


def test_paths_are_a_contract() -> None:
    """A release that moved one would not find what the release before it has written."""
    assert [report_files.FRESHNESS, report_files.PERFORMANCE, report_files.PROMOTION_GATE, report_files.PROMOTIONS] == [
        "reports/freshness.json",
        "reports/performance.json",
        "reports/gate.json",
        "reports/promotions.json",
    ]
    assert report_files.evaluation_path(7) == "reports/evaluation/version=7/summary.json"
    assert report_files.drift_summary_path("2026-03-09") == "reports/drift/week=2026-03-09/summary.json"
    assert report_files.drift_page_path("2026-03-09") == "reports/drift/week=2026-03-09/report.html"
    assert report_files.drift_review_path("2026-03-09") == "reports/drift/week=2026-03-09/review.json"
    assert report_files.drift_calibration_path("abc") == "reports/drift/trust/abc.json"


def test_weeks_are_listed_oldest_first(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert report_files.drift_weeks(lake) == []
    assert report_files.latest_drift_week(lake) is None
    for week in ("2026-03-09", "2025-12-29"):
        lake.write_json(report_files.drift_summary_path(week), {"week": week})
    lake.write_json(report_files.drift_review_path("2026-03-16"), {})
    lake.write_json(report_files.drift_calibration_path("abc"), {})
    assert report_files.drift_weeks(lake) == ["2025-12-29", "2026-03-09"], "only weeks with a summary"
    assert report_files.latest_drift_week(lake) == "2026-03-09"
    assert report_files.drift_summary(lake, "2026-03-09") == {"week": "2026-03-09"}


def test_a_week_without_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotPublishedError, match=r"week=2026-03-09/summary\.json"):
        report_files.drift_summary(Lake(str(tmp_path)), "2026-03-09")


def test_summaries_of_version_0_1_are_read(tmp_path: Path) -> None:
    """Version 0.1 wrote `left_out`; the digest, which reviews refer to, stays the one that was written."""
    lake = Lake(str(tmp_path))
    shortage = {"eng-championship": {"matches": 40, "reference": 1656}}
    lake.write_json(report_files.drift_summary_path("2026-03-09"), {"left_out": shortage, "digest": "d1"})
    assert report_files.drift_summary(lake, "2026-03-09") == {"excluded_competitions": shortage, "digest": "d1"}
