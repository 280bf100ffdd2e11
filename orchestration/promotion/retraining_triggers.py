"""Alarms that trigger a retraining, and the limits on such retrainings. All functions are pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from features.io.registry import ModelVersion
from monitoring.performance import CALIBRATION_ALARM_FACTOR, RECENT_MATCHES

ALARM = "alarm: "
"""Prefix of the recorded reason of a training that an alarm requested."""

CAP_WINDOW = timedelta(days=90)


@dataclass(frozen=True)
class Alarm:
    """A problem that retraining may fix. `key` identifies it across reports, so that it triggers one training only."""

    key: str
    why: str


def drift_alarm(summary: Mapping[str, Any] | None) -> Alarm | None:
    """An alarm if the newest drift report shows drift."""
    if summary is None or summary["state"] != "drift":
        return None
    why = f"drift of {', '.join(summary['drifted'])} in the week {summary['week']}"
    return Alarm(f"drift {summary['digest']}", why)


def performance_alarm(report: Mapping[str, Any] | None, production: int | None) -> Alarm | None:
    """An alarm if production's last hundred forecasts are significantly worse than a baseline, or miscalibrated.

    The baselines are the base rate and plain Elo. Only forecasts of the current version count: there is no alarm until
    it has a hundred.
    """
    key = ("all", f"last_{RECENT_MATCHES}", str(production))
    groups = report["groups"] if report else []
    recent = next((row for row in groups if (row["competition"], row["window"], row["model_version"]) == key), None)
    if recent is None or recent["matches"] < RECENT_MATCHES:
        return None
    until = recent["to"][:10]
    on = f"on the last {recent['matches']} matches of version {production}, up to {until}"
    for name, baseline in (("base", "the base rate"), ("elo", "plain Elo")):
        against = recent["against"].get(name)
        if against and against["low"] is not None and against["low"] > 0:
            return Alarm(f"performance {name} {production} {until}", f"worse than {baseline} {on}")
    error, limit = recent["calibration"]["error"], CALIBRATION_ALARM_FACTOR * recent["calibration"]["limit"]
    if error > limit:
        return Alarm(f"calibration {production} {until}", f"calibration error {error:.3f} above {limit:.3f} {on}")
    return None


def alarm_retraining_block_reason(
    versions: Sequence[ModelVersion], as_of: datetime, cool_down_days: int, cap: int
) -> str | None:
    """Why an alarm may not request a training now; None if it may. Scheduled trainings do not count."""
    by_alarm = [version for version in versions if "trained_as_of" in version.tags and _is_by_alarm(version)]
    trainings = [datetime.fromisoformat(version.tags["trained_as_of"]) for version in by_alarm]
    if not trainings:
        return None
    newest = max(trainings)
    if as_of - newest < timedelta(days=cool_down_days):
        return f"an alarm requested the version of {newest:%Y-%m-%d}, and the cool-down is {cool_down_days} days"
    recent = [at for at in trainings if as_of - at <= CAP_WINDOW]
    if len(recent) >= cap:
        return f"alarms have requested {len(recent)} trainings in {CAP_WINDOW.days} days; a person has to investigate"
    return None


def _is_by_alarm(version: ModelVersion) -> bool:
    return version.tags.get("trained_because", "").startswith(ALARM)
