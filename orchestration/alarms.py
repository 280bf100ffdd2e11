"""When an alarm is reason enough to train again: pure functions of the reports and of past trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from features.io.registry import ModelVersion

ALARM = "alarm: "
"""How the reason of a training begins that an alarm asked for."""

CAP_WINDOW = timedelta(days=90)


@dataclass(frozen=True)
class Alarm:
    """Something that retraining may help against. `key` is the same as long as it is the same alarm."""

    key: str
    why: str


def drift_alarm(summary: Mapping[str, Any] | None) -> Alarm | None:
    """The newest drift report says drift."""
    if summary is None or summary["state"] != "drift":
        return None
    why = f"drift of {', '.join(summary['drifted'])} in the week {summary['week']}"
    return Alarm(f"drift {summary['digest']}", why)


def performance_alarm(report: Mapping[str, Any] | None) -> Alarm | None:
    """The last hundred forecasts are beyond doubt worse than plain Elo or the base rate, or miscalibrated."""
    groups = report["groups"] if report else []
    recent = next((one for one in groups if one["competition"] == "all" and one["window"].startswith("last_")), None)
    if recent is None or report is None:
        return None
    until = recent["to"][:10]
    for name in ("base", "elo"):
        against = recent["against"].get(name)
        if against and against["low"] is not None and against["low"] > 0:
            return Alarm(f"performance {name} {until}", f"worse than {name} on {recent['matches']} matches to {until}")
    error, limit = recent["calibration"]["error"], recent["calibration"]["limit"]
    if recent["matches"] >= 100 and limit is not None and error > limit:
        return Alarm(f"calibration {until}", f"calibration error {error:.3f} above {limit:.3f} to {until}")
    return None


def held_back(versions: Sequence[ModelVersion], as_of: datetime, cool_down_days: int, cap: int) -> str | None:
    """Why an alarm may not ask for a training now; None if it may. Trainings by the schedule hold nothing back."""
    known = [one for one in versions if "trained_as_of" in one.tags and _by_alarm(one)]
    asked = [datetime.fromisoformat(one.tags["trained_as_of"]) for one in known]
    if not asked:
        return None
    newest = max(asked)
    if as_of - newest < timedelta(days=cool_down_days):
        return f"an alarm asked for the version of {newest:%Y-%m-%d}; cool-down of {cool_down_days} days"
    recent = [at for at in asked if as_of - at <= CAP_WINDOW]
    if len(recent) >= cap:
        return f"alarms have asked for {len(recent)} trainings in {CAP_WINDOW.days} days; a person has to look"
    return None


def _by_alarm(version: ModelVersion) -> bool:
    return version.tags.get("trained_because", "").startswith(ALARM)
