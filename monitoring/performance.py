"""Scores of settled forecasts, compared with baselines, by competition, window and model version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import metrics
from features.io.store import week_of
from features.matches import OUTCOMES
from monitoring.calibration import calibration
from monitoring.confidence_sequence import mean_bounds
from monitoring.differences import Difference, paired_difference
from monitoring.settlement import BASELINES, require_unique

Floats = NDArray[np.float64]

RECENT_MATCHES = 100
"""Matches in the window `last_100`. With fewer, no alarm is raised."""

FIXED_WINDOWS = ("all", "season")
"""Windows that grow by each match."""

CALIBRATION_ALARM_FACTOR = 1.25
"""A calibration error above this multiple of its limit raises an alarm. A perfect model exceeds the limit itself 1 time
in 20."""


def probability_columns(settled: pd.DataFrame, forecaster: str) -> Floats:
    """Select the probabilities (n, 3) of a forecaster (`model` or one of `BASELINES`) from settled rows."""
    names = OUTCOMES if forecaster == "model" else tuple(f"{forecaster}_{outcome}" for outcome in OUTCOMES)
    return settled[list(names)].to_numpy(float)


def compare_with(settled: pd.DataFrame, baseline: str) -> dict[str, Any] | None:
    """Compare the model with a baseline on the settled rows for which the baseline has probabilities.

    Returns
    -------
    `skill` (1 - RPS / RPS of the baseline), and the paired RPS difference `n`, `mean`, `low`, `high`, negative if the
    model is better; None if the baseline has no probabilities.
    """
    p = probability_columns(settled, baseline)
    complete = np.isfinite(p).all(axis=1)
    if not complete.any():
        return None
    y = settled["outcome"].to_numpy(np.int64)[complete]
    model = metrics.rps(probability_columns(settled, "model")[complete], y)
    reference = metrics.rps(p[complete], y)
    skill = 1 - float(model.mean()) / float(reference.mean()) if reference.mean() > 0 else 0.0
    return {"skill": skill, **asdict(paired_difference(model, reference))}


def scores(settled: pd.DataFrame, forecaster: str) -> dict[str, float] | None:
    """Compute the mean scores of a forecaster over the rows for which it has probabilities; None without any."""
    p = probability_columns(settled, forecaster)
    complete = np.isfinite(p).all(axis=1)
    return metrics.summary(p[complete], settled["outcome"].to_numpy(np.int64)[complete]) if complete.any() else None


def surprise(settled: pd.DataFrame) -> Difference:
    """Compare the RPS with the one that the forecasts themselves promise: above zero, results surprise the model.

    A calibrated forecaster expects its own RPS, whatever the matches are, so that no reference model is needed.

    Parameters
    ----------
    settled : n rows in the order in which their matches were played.

    Returns
    -------
    Mean of realised minus expected RPS, with the bounds of `monitoring.confidence_sequence`.
    """
    p, y = probability_columns(settled, "model"), settled["outcome"].to_numpy(np.int64)
    by_outcome = metrics.rps_by_outcome(p)
    expected = (p * by_outcome).sum(axis=1)
    lowest, highest = by_outcome.min(axis=1) - expected, by_outcome.max(axis=1) - expected
    return mean_bounds(by_outcome[np.arange(len(p)), y] - expected, lowest, highest)


def group(settled: pd.DataFrame, competition: str, window: str, model_version: str) -> dict[str, Any]:
    """Build one group of the report from n > 0 settled rows."""
    comparisons = {name: compare_with(settled, name) for name in BASELINES}
    return {
        "competition": competition,
        "window": window,
        "model_version": model_version,
        "matches": len(settled),
        "from": settled["kick_off"].min().isoformat(),
        "to": settled["kick_off"].max().isoformat(),
        "scores": {name: scores(settled, name) for name in ("model", *BASELINES)},
        "against": {name: comparison for name, comparison in comparisons.items() if comparison is not None},
        "calibration": calibration(probability_columns(settled, "model"), settled["outcome"].to_numpy(np.int64)),
        # A window that moves has no first match, from which the bounds would hold at every look.
        "surprise": asdict(surprise(settled)) if window in FIXED_WINDOWS and model_version == "all" else None,
    }


def performance_report(settled: pd.DataFrame, as_of: datetime) -> dict[str, Any]:
    """Build the document `reports/performance.json`.

    Parameters
    ----------
    settled : all settled rows of production, columns of `monitoring.settlement.SCHEMA`; may be empty.
    as_of : time of the report.

    Returns
    -------
    `groups`, one per competition (and `all`) and window (`all`, `season`: the latest one, `last_100`), and one per
    model version over all its matches and its `last_100`; `weeks`, the trend by week of kick-off.

    Raises
    ------
    InvalidInputError
        If probabilities are not finite or do not sum to 1, or a match occurs twice.
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
    """Compute the mean RPS by week of kick-off, and of all matches up to and including it."""
    rps = pd.DataFrame({"week": ordered["kick_off"].map(week_of), "model": ordered["rps"]})
    y = ordered["outcome"].to_numpy(np.int64)
    for name in BASELINES:
        p = probability_columns(ordered, name)
        complete = np.isfinite(p).all(axis=1)
        rps[name] = np.nan
        rps.loc[complete, name] = metrics.rps(p[complete], y[complete])
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
