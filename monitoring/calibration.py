"""Calibration: whether outcomes forecast with 40 % happen 40 % of the time, within the uncertainty of the sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from features.matches import OUTCOMES
from features.metrics import calibration_error

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def wilson(hits: Floats, n: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Compute Wilson's (1927) interval of a binomial proportion, which is valid for small n and near 0 or 1.

    Parameters
    ----------
    hits, n : (bins,) successes and trials, n > 0.
    level : coverage.

    Returns
    -------
    Lower and upper bounds, (bins,) each.
    """
    z = float(norm.ppf(0.5 + level / 2))
    share = hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def reliability_curve(probabilities: Floats, happened: Labels, bins: int = 10) -> list[dict[str, Any]]:
    """Compare forecast and observed frequency of one outcome in equal-width bins; empty bins are omitted.

    Parameters
    ----------
    probabilities : (n,) forecast for the outcome.
    happened : (n,) 1 if the outcome occurred, otherwise 0.
    bins : number of bins.

    Returns
    -------
    One dict per bin: `from`, `to`, `n`, mean `forecast`, `observed` frequency with its 95 % Wilson interval `low`,
    `high`, and `consistent`: whether the mean forecast lies in the interval.
    """
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    n = np.bincount(bin_of, minlength=bins).astype(np.float64)
    filled = np.flatnonzero(n)
    forecast = np.bincount(bin_of, probabilities, bins)[filled] / n[filled]
    hits = np.bincount(bin_of, happened, bins)[filled].astype(np.float64)
    low, high = wilson(hits, n[filled])
    return [
        {
            "from": float(bin_ / bins),
            "to": float((bin_ + 1) / bins),
            "n": int(n[bin_]),
            "forecast": float(forecast[i]),
            "observed": float(hits[i] / n[bin_]),
            "low": float(low[i]),
            "high": float(high[i]),
            "consistent": bool(low[i] <= forecast[i] <= high[i]),
        }
        for i, bin_ in enumerate(filled)
    ]


def calibration_limit(
    probabilities: Floats, level: float = 0.95, draws: int = 400, seed: int = 0, bins: int = 10
) -> float:
    """Compute the calibration error that a perfectly calibrated model exceeds with probability 1 - level.

    Outcomes are simulated from the forecasts themselves, so the limit depends on the sample's size and spread. A fixed
    threshold would reject every model on 50 matches and accept any on 5,000.

    Parameters
    ----------
    probabilities : (n, 3) forecasts.
    level : probability that a perfectly calibrated model stays within the limit.
    draws : number of simulations.
    seed : seed of the simulations.
    bins : number of bins of the calibration error.

    Returns
    -------
    The `level` quantile of `features.metrics.calibration_error` over `draws` simulations.
    """
    n = len(probabilities)
    generator = np.random.default_rng(seed)
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    forecast = np.bincount(bin_of.ravel(), probabilities.ravel(), bins)
    cumulative = probabilities.cumsum(axis=1)[:, :2]
    errors = np.empty(draws)
    for draw in range(draws):
        outcome = (generator.random((n, 1)) > cumulative).sum(axis=1)
        hits = np.bincount(bin_of[np.arange(n), outcome], minlength=bins)
        errors[draw] = np.abs(forecast - hits).sum() / (3 * n)
    return float(np.quantile(errors, level))


def calibration(probabilities: Floats, outcomes: Labels, seed: int = 0) -> dict[str, Any]:
    """Compute the calibration error, its limit, and a reliability curve for each outcome.

    Parameters
    ----------
    probabilities : (n, 3) ordered home, draw, away; n > 0.
    outcomes : (n,) labels in 0..2.
    seed : seed of the simulations behind the limit.

    Returns
    -------
    `error`; `limit`, which a perfect model meets 19 times in 20; `consistent`, whether the error is within the limit;
    `curves`, a `reliability_curve` by outcome.
    """
    error, limit = calibration_error(probabilities, outcomes), calibration_limit(probabilities, seed=seed)
    curves = {
        name: reliability_curve(probabilities[:, column], (outcomes == column).astype(np.int64))
        for column, name in enumerate(OUTCOMES)
    }
    return {"error": error, "limit": limit, "consistent": error <= limit, "curves": curves}
