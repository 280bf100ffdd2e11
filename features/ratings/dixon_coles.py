"""Dixon & Coles (1997): attack and defence of all clubs of a league fitted together, old matches fading.

Too slow to move with every result, so it is a reference of the back-test and no feature of the served model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

from features.scorelines import outcome_probabilities, score_grid
from features.splits import season_starts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class DixonColes:
    """Fitted strengths; `attack` and `defence` are by club number, NaN for clubs without a match."""

    attack: Floats
    defence: Floats
    level: float
    home: float
    rho: float

    def log_rates(self, home: Ints, away: Ints) -> Floats:
        """Log expected goals (n, 2) of both sides."""
        return np.column_stack(
            [
                self.level + self.home + self.attack[home] - self.defence[away],
                self.level + self.attack[away] - self.defence[home],
            ]
        )


def fit(home: Ints, away: Ints, goals: Floats, age_days: Floats, n_clubs: int, decay: float = 0.002) -> DixonColes:
    """Maximum likelihood with weights exp(-decay * days).

    Parameters
    ----------
    home, away : (n,) club numbers below `n_clubs`.
    goals : (n, 2) of both sides.
    age_days : (n,) days before the fit.

    Notes
    -----
    A tiny ridge makes the strengths identifiable. Clubs without a match get the mean of the five weakest others.
    """
    weight = np.exp(-decay * age_days)
    first = np.concatenate([np.zeros(2 * n_clubs), [0.1, 0.25, -0.05]])
    bounds = [(-3.0, 3.0)] * (2 * n_clubs + 2) + [(-0.2, 0.2)]
    found = minimize(
        _loss, first, args=(home, away, goals, weight, n_clubs), jac=True, method="L-BFGS-B", bounds=bounds
    )
    attack, defence = found.x[:n_clubs].copy(), found.x[n_clubs : 2 * n_clubs].copy()
    seen = np.zeros(n_clubs, bool)
    seen[home] = seen[away] = True
    weakest = np.flatnonzero(seen)[np.argsort((attack + defence)[seen])[:5]]
    attack[~seen], defence[~seen] = attack[weakest].mean(), defence[weakest].mean()
    level, advantage, rho = (float(value) for value in found.x[-3:])
    return DixonColes(attack, defence, level, advantage, rho)


def _loss(
    raw: Floats, home: Ints, away: Ints, goals: Floats, weight: Floats, n_clubs: int, ridge: float = 0.1
) -> tuple[float, Floats]:
    """Penalised negative log likelihood and its gradient."""
    attack, defence = raw[:n_clubs], raw[n_clubs : 2 * n_clubs]
    level, advantage, rho = raw[-3:]
    log_rate = np.column_stack([level + advantage + attack[home] - defence[away], level + attack[away] - defence[home]])
    rate = np.exp(log_rate)
    tau, by_log_rate, by_rho = _low_scores(goals, rate, rho)
    value = -(weight * (np.log(tau) + (goals * log_rate - rate).sum(axis=1))).sum()
    slope = -weight[:, None] * (goals - rate + by_log_rate)
    gradient = np.zeros_like(raw)
    gradient[:n_clubs] = np.bincount(home, slope[:, 0], n_clubs) + np.bincount(away, slope[:, 1], n_clubs)
    gradient[n_clubs : 2 * n_clubs] = -np.bincount(away, slope[:, 0], n_clubs) - np.bincount(home, slope[:, 1], n_clubs)
    gradient[-3], gradient[-2], gradient[-1] = slope.sum(), slope[:, 0].sum(), -(weight * by_rho).sum()
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


def walk_forward_forecasts(
    matches: pd.DataFrame, first: int, decay: float = 0.002, window_days: int = 5 * 365
) -> tuple[Floats, Floats]:
    """Probabilities (n, 3) and log rates (n, 2) of played matches from season `first` on, NaN before.

    Each competition is fitted by itself, anew each month, on the results before that month.
    """
    p, rates = np.full((len(matches), 3), np.nan), np.full((len(matches), 2), np.nan)
    month = matches["kick_off"].dt.strftime("%Y-%m").to_numpy()
    start = season_starts(matches["season"])
    for competition in matches["competition"].unique():
        rows = np.flatnonzero((matches["competition"] == competition).to_numpy())
        league = matches.iloc[rows]
        names = pd.Index(pd.concat([league["home_team"], league["away_team"]]).unique())
        home, away = (names.get_indexer(league[side]).astype(np.int64) for side in ("home_team", "away_team"))
        goals = league[["home_goals", "away_goals"]].to_numpy(float)
        day = (league["kick_off"] - pd.Timestamp(0, tz="UTC")).dt.days.to_numpy(float)
        for one in sorted(set(month[rows][start[rows] >= first])):
            now = np.flatnonzero((month[rows] == one) & (start[rows] >= first))
            today = day[now].min()
            past = np.flatnonzero((day < today) & (day >= today - window_days))
            if len(past) == 0:
                continue
            fitted = fit(home[past], away[past], goals[past], today - day[past], len(names), decay)
            rates[rows[now]] = fitted.log_rates(home[now], away[now])
            p[rows[now]] = outcome_probabilities(score_grid(np.exp(rates[rows[now]]), fitted.rho))
    return p, rates
