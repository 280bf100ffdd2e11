"""Dixon & Coles (1997): attack and defence of all clubs fitted together, old matches fading.

Too slow to move with every result, so it is a reference of the back-test and no feature of the served model.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from features.competitions import country_of, tier_of
from features.scorelines import outcome_probabilities, score_grid
from features.splits import season_starts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SIDES = ("home_team", "away_team")


class DixonColes(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A scikit-learn classifier whose input is a matches table of clubs that meet, in one league or several tiers.

    Weights are exp(-decay * days before the last match). A tiny ridge makes the strengths identifiable. A club without
    a match gets the mean of the five weakest others. Of scikit-learn's checks those of parameters apply; the others
    feed matrices of numbers.

    Parameters
    ----------
    decay : a day's share of the weight that is lost.
    window_days : older matches are left out.
    ridge : strength of the penalty on attack and defence.

    Attributes
    ----------
    classes_ : home, draw, away as 0, 1, 2.
    clubs_ : (n_clubs,) names.
    attack_, defence_ : (n_clubs,)
    level_, home_, rho_ : log goals of an average side away, what a home side has on top, the low scores' correction.
    """

    def __init__(self, decay: float = 0.002, window_days: int = 5 * 365, ridge: float = 0.1) -> None:
        self.decay = decay
        self.window_days = window_days
        self.ridge = ridge

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Fit on played matches; their scores are the target, so `y` is not looked at."""
        del y
        day = _day(X)
        X, day = X[day >= day.max() - self.window_days], day[day >= day.max() - self.window_days]
        self.clubs_ = pd.Index(pd.concat([X["home_team"], X["away_team"]]).unique())
        n = len(self.clubs_)
        home, away = (self.clubs_.get_indexer(pd.Index(X[side])).astype(np.int64) for side in _SIDES)
        goals, ground = X[["home_goals", "away_goals"]].to_numpy(float), _ground(X)
        first = np.concatenate([np.zeros(2 * n), [0.1, 0.25, -0.05]])
        found = minimize(
            _loss,
            first,
            args=(home, away, ground, goals, np.exp(-self.decay * (day.max() - day)), n, self.ridge),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-3.0, 3.0)] * (2 * n + 2) + [(-0.2, 0.2)],
        )
        self.classes_ = np.arange(3)
        self.attack_, self.defence_ = found.x[:n], found.x[n : 2 * n]
        self.level_, self.home_, self.rho_ = (float(value) for value in found.x[-3:])
        return self

    def log_rates(self, X: pd.DataFrame) -> Floats:
        """Log expected goals (n, 2) of both sides."""
        check_is_fitted(self)
        weakest = np.argsort(self.attack_ + self.defence_)[:5]
        # an unknown club is number -1, the last
        attack, defence = (np.append(one, one[weakest].mean()) for one in (self.attack_, self.defence_))
        home, away = (self.clubs_.get_indexer(pd.Index(X[side])) for side in _SIDES)
        return np.column_stack(
            [
                self.level_ + _ground(X) * self.home_ + attack[home] - defence[away],
                self.level_ + attack[away] - defence[home],
            ]
        )

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Probabilities (n, 3) of home, draw, away."""
        return outcome_probabilities(score_grid(np.exp(self.log_rates(X)), self.rho_))

    def predict(self, X: pd.DataFrame) -> Ints:
        """The most likely outcome of each match (n,)."""
        return np.asarray(self.predict_proba(X).argmax(axis=1), dtype=np.int64)


def _day(matches: pd.DataFrame) -> Floats:
    return np.asarray((matches["kick_off"] - pd.Timestamp(0, tz="UTC")).dt.days, dtype=float)


def _ground(matches: pd.DataFrame) -> Floats:
    return np.where(matches["neutral"], 0.0, 1.0)


def _loss(
    raw: Floats, home: Ints, away: Ints, ground: Floats, goals: Floats, weight: Floats, n_clubs: int, ridge: float
) -> tuple[float, Floats]:
    """Penalised negative log likelihood and its gradient."""
    attack, defence = raw[:n_clubs], raw[n_clubs : 2 * n_clubs]
    level, advantage, rho = raw[-3:]
    log_rate = np.column_stack(
        [level + ground * advantage + attack[home] - defence[away], level + attack[away] - defence[home]]
    )
    rate = np.exp(log_rate)
    tau, by_log_rate, by_rho = _low_scores(goals, rate, rho)
    value = -(weight * (np.log(tau) + (goals * log_rate - rate).sum(axis=1))).sum()
    slope = -weight[:, None] * (goals - rate + by_log_rate)
    gradient = np.zeros_like(raw)
    gradient[:n_clubs] = np.bincount(home, slope[:, 0], n_clubs) + np.bincount(away, slope[:, 1], n_clubs)
    gradient[n_clubs : 2 * n_clubs] = -np.bincount(away, slope[:, 0], n_clubs) - np.bincount(home, slope[:, 1], n_clubs)
    gradient[-3], gradient[-2], gradient[-1] = slope.sum(), ground @ slope[:, 0], -(weight * by_rho).sum()
    strengths = raw[: 2 * n_clubs]
    gradient[: 2 * n_clubs] += ridge * strengths
    return float(value + ridge / 2 * strengths @ strengths), gradient


def _low_scores(goals: Floats, rate: Floats, rho: float) -> tuple[Floats, Floats, Floats]:
    """tau of the paper, the derivative of its log by both log rates (n, 2), and by rho."""
    h, a = rate[:, 0], rate[:, 1]
    nil_nil = (goals[:, 0] == 0) & (goals[:, 1] == 0)
    nil_one = (goals[:, 0] == 0) & (goals[:, 1] == 1)
    one_nil = (goals[:, 0] == 1) & (goals[:, 1] == 0)
    one_one = (goals[:, 0] == 1) & (goals[:, 1] == 1)
    cases = [nil_nil, nil_one, one_nil, one_one]
    by_rho = np.select(cases, [-h * a, h, a, -np.ones_like(h)], 0.0)
    tau = np.maximum(1 + rho * by_rho, 1e-6)
    by_log_home = np.select([nil_nil, nil_one], [-h * a * rho, h * rho], 0.0) / tau
    by_log_away = np.select([nil_nil, one_nil], [-h * a * rho, a * rho], 0.0) / tau
    return tau, np.column_stack([by_log_home, by_log_away]), by_rho / tau


def walk_forward_forecasts(matches: pd.DataFrame, first: int) -> Floats:
    """Probabilities (n, 3) of the top tiers' played matches from season `first` on, NaN for others.

    The tiers of a country are fitted together, anew each month, on the results before that month.
    """
    p = np.full((len(matches), 3), np.nan)
    pool = matches["competition"].map(country_of).to_numpy()
    top = matches["competition"].map(tier_of).eq(1).to_numpy()
    month = matches["kick_off"].dt.strftime("%Y-%m").to_numpy()
    asked = top & (season_starts(matches["season"]) >= first)
    for country, one in sorted(set(zip(pool[asked], month[asked], strict=True))):
        past = (pool == country) & (month < one)
        if past.any():
            now = asked & (pool == country) & (month == one)
            p[now] = DixonColes().fit(matches[past]).predict_proba(matches[now])
    return p
