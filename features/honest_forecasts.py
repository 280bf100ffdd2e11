"""Forecasts that cannot leak, from earlier results only: the yardstick of `features.leak_alarm`."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.competitions import country_of
from features.matches import outcomes
from features.metrics import rps
from features.ordinal import OrderedLogit
from features.splits import walk_forward

Floats = NDArray[np.float64]

COLUMNS = ("competition", "season", "kick_off", "home_team", "away_team", "neutral")

HOME_ADVANTAGE = 60.0
"""In Elo points; the model's thresholds correct it."""

PACES = ((8.0, 0.0), (20.0, 0.0), (40.0, 0.0), (4.0, 1.0), (10.0, 1.0), (20.0, 1.0))
"""K and gamma of Elo, as in `features.ratings.elo.change`. Strengths that hardly change are known best with a low K, a
short history needs a high one; the goal difference helps most where it is large."""


def honest_forecasts(matches: pd.DataFrame, first: int) -> Floats | None:
    """Forecast walk-forward with Elo, at the pace that is best in these matches; None without clubs and days.

    Parameters
    ----------
    matches : played matches, n rows.
    first : year in which the first forecast season begins.

    Returns
    -------
    Probabilities (n, 3) ordered home, draw, away; NaN for matches that are not forecast.
    """
    if not set(COLUMNS) <= set(matches.columns):
        return None
    y = outcomes(matches)
    best, best_rps = None, np.inf
    for k, gamma in PACES:
        p = _walk(_elo(matches, k, gamma), y, matches, first)
        forecast = ~np.isnan(p).any(axis=1)
        score = rps(p[forecast], y[forecast]).mean() if forecast.any() else np.inf
        if best is None or score < best_rps:
            best, best_rps = p, score
    return best


def _elo(matches: pd.DataFrame, k: float, gamma: float) -> Floats:
    """Compute the difference of the Elo ratings before each match (n, 1); a day's results count from the next day.

    Only the update is that of `features.ratings`, not its pass over the matches, so that a leak there does not move the
    yardstick too.
    """
    from features.ratings.elo import change  # imported here: workers load models, but compile no ratings

    countries = matches["competition"].map(country_of)
    home, away = (list(zip(countries, matches[side], strict=True)) for side in ("home_team", "away_team"))
    days = matches["kick_off"].dt.floor("D").astype("int64").to_numpy()
    at_home = np.where(matches["neutral"].to_numpy(bool), 0.0, HOME_ADVANTAGE).tolist()
    goal_difference = (matches["home_goals"] - matches["away_goals"]).tolist()
    rating: dict[tuple[str, str], float] = defaultdict(float)
    gap = np.empty(len(matches))
    for day in np.split(order := np.argsort(days, kind="stable"), np.flatnonzero(np.diff(days[order])) + 1):
        for i in day.tolist():
            gap[i] = rating[home[i]] + at_home[i] - rating[away[i]]
        for i in day.tolist():
            points = change(gap[i], goal_difference[i], k, gamma)
            rating[home[i]] += points
            rating[away[i]] -= points
    return gap[:, None] / 400


def _walk(x: Floats, y: NDArray[np.int64], matches: pd.DataFrame, first: int) -> Floats:
    p = np.full((len(y), 3), np.nan)
    for _, train, test in walk_forward(matches, first):
        if len(np.unique(y[train])) == p.shape[1]:
            p[test] = OrderedLogit(C=1.0).fit(x[train], y[train]).predict_proba(x[test])
    return p
