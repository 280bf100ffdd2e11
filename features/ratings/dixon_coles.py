"""Model of Dixon & Coles (1997): attack and defence of all clubs, fitted together with time-decayed weights.

Refitting after every result would be too slow, so it serves as a baseline of the back-test, not as a feature.
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
    """Scikit-learn classifier of matches tables; the clubs belong to one league or to connected tiers.

    Log expected goals are level + home advantage + own attack - opponent's defence. Matches are weighted by
    exp(-decay * days before the last match). A small ridge makes the strengths identifiable. A club without matches
    gets the mean strength of the five weakest clubs. It passes scikit-learn's checks of parameters; the other checks
    do not apply, because they need numeric matrices as input.

    Parameters
    ----------
    decay : rate at which weights decay, per day.
    window_days : days before the last match; earlier matches are ignored.
    ridge : strength of the L2 penalty on attack and defence.

    Attributes
    ----------
    classes_ : (3,) 0 home, 1 draw, 2 away.
    clubs_ : (n_clubs,) names.
    attack_, defence_ : (n_clubs,) strengths in log goals; higher is better.
    level_ : log expected goals of an average side away against another average side.
    home_ : home advantage in log goals.
    rho_ : correction of low scores, -0.2 to 0.2.
    """

    def __init__(self, decay: float = 0.002, window_days: int = 5 * 365, ridge: float = 0.1) -> None:
        self.decay = decay
        self.window_days = window_days
        self.ridge = ridge

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Fit on played matches, a matches table of n rows; the scores in it are the target, `y` is ignored."""
        del y
        day = _day(X)
        X, day = X[day >= day.max() - self.window_days], day[day >= day.max() - self.window_days]
        self.clubs_ = pd.Index(pd.concat([X["home_team"], X["away_team"]]).unique())
        n = len(self.clubs_)
        home, away = (self.clubs_.get_indexer(pd.Index(X[side])).astype(np.int64) for side in _SIDES)
        goals, ground = X[["home_goals", "away_goals"]].to_numpy(float), _ground(X)
        start = np.concatenate([np.zeros(2 * n), [0.1, 0.25, -0.05]])
        result = minimize(
            _loss,
            start,
            args=(home, away, ground, goals, np.exp(-self.decay * (day.max() - day)), n, self.ridge),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-3.0, 3.0)] * (2 * n + 2) + [(-0.2, 0.2)],
        )
        self.classes_ = np.arange(3)
        self.attack_, self.defence_ = result.x[:n], result.x[n : 2 * n]
        self.level_, self.home_, self.rho_ = (float(value) for value in result.x[-3:])
        return self

    def log_rates(self, X: pd.DataFrame) -> Floats:
        """Predict the log expected goals (n, 2) of home and away side."""
        check_is_fitted(self)
        weakest = np.argsort(self.attack_ + self.defence_)[:5]
        # get_indexer gives -1 for an unknown club, which selects the appended value
        attack, defence = (
            np.append(strengths, strengths[weakest].mean()) for strengths in (self.attack_, self.defence_)
        )
        home, away = (self.clubs_.get_indexer(pd.Index(X[side])) for side in _SIDES)
        return np.column_stack(
            [
                self.level_ + _ground(X) * self.home_ + attack[home] - defence[away],
                self.level_ + attack[away] - defence[home],
            ]
        )

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Predict probabilities (n, 3), ordered home, draw, away."""
        return outcome_probabilities(score_grid(np.exp(self.log_rates(X)), self.rho_))

    def predict(self, X: pd.DataFrame) -> Ints:
        """Predict the most likely outcome (n,) of each match."""
        return np.asarray(self.predict_proba(X).argmax(axis=1), dtype=np.int64)


def _day(matches: pd.DataFrame) -> Floats:
    """Return the day (n,) of each match, counted from 1970."""
    return np.asarray((matches["kick_off"] - pd.Timestamp(0, tz="UTC")).dt.days, dtype=float)


def _ground(matches: pd.DataFrame) -> Floats:
    """Return 1 (n,) for matches with a home side, 0 on neutral ground."""
    return np.where(matches["neutral"], 0.0, 1.0)


def _loss(
    raw: Floats, home: Ints, away: Ints, ground: Floats, goals: Floats, weight: Floats, n_clubs: int, ridge: float
) -> tuple[float, Floats]:
    """Compute the penalised negative log likelihood and its gradient."""
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
    """Compute the paper's tau (n,), and the derivatives of log tau for both log rates (n, 2) and rho (n,)."""
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
    """Forecast the matches of the first tiers month by month.

    The tiers of a country are fitted together, again for each month, on the results of earlier months.

    Parameters
    ----------
    matches : played matches, n rows.
    first : year in which the first forecast season begins.

    Returns
    -------
    Probabilities (n, 3) ordered home, draw, away; NaN for lower tiers and earlier seasons.
    """
    p = np.full((len(matches), 3), np.nan)
    countries = matches["competition"].map(country_of).to_numpy()
    top = matches["competition"].map(tier_of).eq(1).to_numpy()
    month = matches["kick_off"].dt.strftime("%Y-%m").to_numpy()
    to_forecast = top & (season_starts(matches["season"]) >= first)
    for country, current in sorted(set(zip(countries[to_forecast], month[to_forecast], strict=True))):
        past = (countries == country) & (month < current)
        if past.any():
            tested = to_forecast & (countries == country) & (month == current)
            p[tested] = DixonColes().fit(matches[past]).predict_proba(matches[tested])
    return p
