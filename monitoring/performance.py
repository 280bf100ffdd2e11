"""How good the forecasts were: scores of settled forecasts, against references, by competition, window and version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from features import metrics
from features.io.store import week_of
from features.matches import OUTCOMES
from monitoring.calibration import calibration
from monitoring.settlement import BASELINES, require_unique

Floats = NDArray[np.float64]

RECENT_MATCHES = 100
"""Matches in the window `last_100`; on fewer no alarm is raised."""

CALIBRATION_ALARM_FACTOR = 1.25
"""A calibration error beyond this times its limit is an alarm: one perfect model in twenty passes the limit itself."""


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences over n matches with its 95 % interval; None where n is too small to give one."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


def paired_difference(ours: Floats, theirs: Floats, level: float = 0.95) -> Difference:
    """Mean of `ours - theirs` (n,), scores of the same matches, with Student's interval.

    Pairing takes away what both share, the luck of the results: two models that differ little can be told apart on
    matches too few to know the score of either.
    """
    difference = np.asarray(ours, float) - np.asarray(theirs, float)
    n = len(difference)
    if n == 0:
        return Difference(0, None, None, None)
    mean = float(difference.mean())
    if n == 1:
        return Difference(1, mean, None, None)
    half = float(student.ppf(0.5 + level / 2, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    return Difference(n, mean, mean - half, mean + half)


def probability_columns(settled: pd.DataFrame, forecaster: str) -> Floats:
    """Probabilities (n, 3) of a forecaster (`model` or one of `BASELINES`) in settled rows."""
    names = OUTCOMES if forecaster == "model" else tuple(f"{forecaster}_{outcome}" for outcome in OUTCOMES)
    return settled[list(names)].to_numpy(float)


def compare_with(settled: pd.DataFrame, reference: str) -> dict[str, Any] | None:
    """The model against one reference on the settled rows where the reference has probabilities; None where nowhere.

    Returns
    -------
    `skill` (1 - RPS / RPS of the reference), and the paired RPS difference `n`, `mean`, `low`, `high`: below zero the
    model is better.
    """
    p = probability_columns(settled, reference)
    have = np.isfinite(p).all(axis=1)
    if not have.any():
        return None
    y = settled["outcome"].to_numpy(np.int64)[have]
    ours, theirs = metrics.rps(probability_columns(settled, "model")[have], y), metrics.rps(p[have], y)
    skill = 1 - float(ours.mean()) / float(theirs.mean()) if theirs.mean() > 0 else 0.0
    return {"skill": skill, **asdict(paired_difference(ours, theirs))}


def scores(settled: pd.DataFrame, forecaster: str) -> dict[str, float] | None:
    """Means of all scores of a forecaster over the rows where it has probabilities; None where nowhere."""
    p = probability_columns(settled, forecaster)
    have = np.isfinite(p).all(axis=1)
    return metrics.summary(p[have], settled["outcome"].to_numpy(np.int64)[have]) if have.any() else None


def group(settled: pd.DataFrame, competition: str, window: str, model_version: str) -> dict[str, Any]:
    """One entry of the report: n > 0 settled rows with everything that is said of them."""
    compared = {name: compare_with(settled, name) for name in BASELINES}
    return {
        "competition": competition,
        "window": window,
        "model_version": model_version,
        "matches": len(settled),
        "from": settled["kick_off"].min().isoformat(),
        "to": settled["kick_off"].max().isoformat(),
        "scores": {name: scores(settled, name) for name in ("model", *BASELINES)},
        "against": {name: one for name, one in compared.items() if one is not None},
        "calibration": calibration(probability_columns(settled, "model"), settled["outcome"].to_numpy(np.int64)),
    }


def performance_report(settled: pd.DataFrame, as_of: datetime) -> dict[str, Any]:
    """The document `reports/performance.json`.

    Parameters
    ----------
    settled : all settled rows of production, columns of `monitoring.settlement.SCHEMA`; may be empty.
    as_of : the moment the report is for.

    Returns
    -------
    `groups`, one per competition (and `all`) and window (`all`, `season`: the latest one, `last_100`), and per model
    version, over all its matches and its `last_100`; `weeks`, the trend by week of kick-off.

    Raises
    ------
    InvalidInputError
        If probabilities are not finite or do not sum to 1, or a match is there twice.
    """
    ordered = require_unique(settled).sort_values(["kick_off", "match_id"], kind="stable").reset_index(drop=True)
    return {
        "as_of": as_of.isoformat(),
        "matches": len(ordered),
        "groups": list(_groups(ordered)) if len(ordered) else [],
        "weeks": _weeks(ordered) if len(ordered) else [],
    }


def _groups(ordered: pd.DataFrame) -> Iterator[dict[str, Any]]:
    parts = {"all": ordered, **{str(name): part for name, part in ordered.groupby("competition")}}
    for competition, part in parts.items():
        latest = part.groupby("competition")["season"].transform("max")
        windows = {
            "all": part,
            "season": part[part["season"] == latest],
            f"last_{RECENT_MATCHES}": part.tail(RECENT_MATCHES),
        }
        for window, rows in windows.items():
            yield group(rows, competition, window, "all")
        for version, rows in part.groupby("model_version"):
            yield group(rows, competition, "all", str(version))
            yield group(rows.tail(RECENT_MATCHES), competition, f"last_{RECENT_MATCHES}", str(version))


def _weeks(ordered: pd.DataFrame) -> list[dict[str, Any]]:
    """Mean RPS by week of kick-off, and of all matches up to and with it."""
    rps = pd.DataFrame({"week": ordered["kick_off"].map(week_of), "model": ordered["rps"]})
    y = ordered["outcome"].to_numpy(np.int64)
    for name in BASELINES:
        p = probability_columns(ordered, name)
        have = np.isfinite(p).all(axis=1)
        rps[name] = np.nan
        rps.loc[have, name] = metrics.rps(p[have], y[have])
    names = ["model", *BASELINES]
    weekly, running = rps.groupby("week")[names].mean(), rps[names].expanding().mean().groupby(rps["week"]).last()
    count = rps.groupby("week").size()
    return [
        {
            "week": week,
            "matches": int(count[week]),
            "rps": {name: _number(weekly.loc[week, name]) for name in names},
            "rps_so_far": {name: _number(running.loc[week, name]) for name in names},
        }
        for week in weekly.index
    ]


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
