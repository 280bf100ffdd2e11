"""When an alarm is reason enough to train again: pure functions of the reports and of past trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from features.io.registry import ModelVersion
from monitoring.performance import MISCALIBRATED, RECENT

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


def performance_alarm(report: Mapping[str, Any] | None, production: int | None) -> Alarm | None:
    """Production's last hundred forecasts are beyond doubt worse than plain Elo or the base rate, or miscalibrated.

    Forecasts of the version before it say nothing about this one; until it has made a hundred there is no alarm.
    """
    wanted = ("all", f"last_{RECENT}", str(production))
    groups = report["groups"] if report else []
    recent = next((one for one in groups if (one["competition"], one["window"], one["model_version"]) == wanted), None)
    if recent is None or recent["matches"] < RECENT:
        return None
    until = recent["to"][:10]
    on = f"on the last {recent['matches']} matches of version {production} to {until}"
    for name in ("base", "elo"):
        against = recent["against"].get(name)
        if against and against["low"] is not None and against["low"] > 0:
            return Alarm(f"performance {name} {production} {until}", f"worse than {name} {on}")
    error, limit = recent["calibration"]["error"], MISCALIBRATED * recent["calibration"]["limit"]
    if error > limit:
        return Alarm(f"calibration {production} {until}", f"calibration error {error:.3f} above {limit:.3f} {on}")
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
