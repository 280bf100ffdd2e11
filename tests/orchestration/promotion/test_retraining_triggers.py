"""When an alarm may request a training."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from features.io.registry import ModelVersion
from orchestration.promotion.retraining_triggers import (
    ALARM,
    alarm_retraining_block_reason,
    drift_alarm,
    performance_alarm,
)

PRODUCTION = 7
NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)


def version(number: int, days_ago: float, reason: str = "") -> ModelVersion:
    trained = (NOW - timedelta(days=days_ago)).isoformat()
    return ModelVersion(number, "run", NOW, {"trained_as_of": trained, "trained_because": reason})


def report(**changes: Any) -> dict[str, Any]:
    group = {
        "competition": "all",
        "window": "last_100",
        "model_version": str(PRODUCTION),
        "matches": 100,
        "to": "2026-03-05T20:00:00+00:00",
        "against": {"elo": {"low": -0.01}, "base": {"low": -0.03}},
        "calibration": {"error": 0.05, "limit": 0.08},
    }
    disappointing = {"against": {"elo": {"low": 0.1}, "base": {"low": 0.1}}, "matches": 100}
    mixed = [{**group, **disappointing, "model_version": number} for number in ("all", str(PRODUCTION - 1))]
    return {"groups": [*mixed, {**group, **changes}]}


def test_only_drift_is_a_drift_alarm() -> None:
    summary = {"state": "drift", "digest": "abc", "drifted": ["elo"], "week": "2026-03-02"}
    alarm = drift_alarm(summary)
    assert alarm is not None
    assert alarm.key == "drift abc"
    assert "elo" in alarm.why
    assert drift_alarm({**summary, "state": "stable"}) is None
    assert drift_alarm({**summary, "state": "too_few_matches"}) is None
    assert drift_alarm(None) is None


def test_significantly_worse_than_a_baseline_is_an_alarm() -> None:
    alarm = performance_alarm(report(against={"elo": {"low": 0.001}, "base": {"low": -0.01}}), PRODUCTION)
    assert alarm is not None
    assert "worse than plain Elo on the last 100 matches of version 7" in alarm.why
    assert performance_alarm(report(), PRODUCTION) is None, "scores of version 6 do not count against version 7"
    assert performance_alarm(report(against={"elo": {"low": None}}), PRODUCTION) is None
    assert performance_alarm(None, PRODUCTION) is None
    assert performance_alarm({"groups": []}, PRODUCTION) is None
    assert performance_alarm(report(), None) is None


def test_strong_miscalibration_is_an_alarm() -> None:
    """An error more than a quarter above the limit for the sample size raises an alarm."""
    assert performance_alarm(report(calibration={"error": 0.101, "limit": 0.08}), PRODUCTION) is not None
    assert performance_alarm(report(calibration={"error": 0.099, "limit": 0.08}), PRODUCTION) is None


def test_few_matches_raise_no_alarm() -> None:
    """This holds however bad the forecasts are."""
    bad = {"against": {"base": {"low": 0.2}}, "calibration": {"error": 0.5, "limit": 0.1}}
    assert performance_alarm(report(**bad, matches=20), PRODUCTION) is None
    assert performance_alarm(report(**bad, matches=99), PRODUCTION) is None
    assert performance_alarm(report(**bad, matches=100), PRODUCTION) is not None


def test_an_alarm_waits_for_the_cool_down() -> None:
    assert "cool-down" in (alarm_retraining_block_reason([version(1, 10, f"{ALARM}drift")], NOW, 14, 4) or "")
    assert alarm_retraining_block_reason([version(1, 15, f"{ALARM}drift")], NOW, 14, 4) is None
    by_schedule = [version(1, 3, "weekly schedule")]
    assert alarm_retraining_block_reason(by_schedule, NOW, 14, 4) is None, "the schedule trains every week"
    assert alarm_retraining_block_reason([], NOW, 14, 4) is None


def test_alarms_may_ask_only_so_often() -> None:
    by_alarm = [version(n, 20 * n, f"{ALARM}drift") for n in (1, 2, 3, 4)]
    assert "a person has to investigate" in (alarm_retraining_block_reason(by_alarm, NOW, 14, 4) or "")
    assert alarm_retraining_block_reason(by_alarm, NOW, 14, 5) is None
    by_schedule = [version(n, 20 * n, "weekly schedule") for n in (1, 2, 3, 4)]
    assert alarm_retraining_block_reason(by_schedule, NOW, 14, 4) is None
