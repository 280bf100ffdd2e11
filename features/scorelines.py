"""Scorelines: the probability of each final score and the expected goals, consistent with the outcome probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_GOALS = 10
"""Most goals of one side in the grid; more happen once in 10,000 matches and are ignored."""

_HOME, _AWAY = np.tril(np.ones((MAX_GOALS + 1, MAX_GOALS + 1)), -1), np.triu(np.ones((MAX_GOALS + 1,) * 2), 1)
_LOG_FACTORIALS = np.log(np.maximum(np.arange(MAX_GOALS + 1), 1)).cumsum()
_DRAW = np.eye(MAX_GOALS + 1)


@dataclass(frozen=True)
class Scorelines:
    """Expected goals (n, 2) of both sides and the probability (n, 11, 11) of each score, home by away goals."""

    expected_goals: Floats
    grid: Floats

    def most_likely(self, row: int, count: int = 5) -> list[tuple[int, int, float]]:
        """List the most likely scores of one match as (home goals, away goals, probability), the most likely first."""
        flat = self.grid[row].ravel()
        best = np.argsort(-flat, kind="stable")[:count]
        return [(int(cell // (MAX_GOALS + 1)), int(cell % (MAX_GOALS + 1)), float(flat[cell])) for cell in best]


def score_grid(rates: Floats, rho: float = 0.0) -> Floats:
    """Compute Poisson score probabilities (n, 11, 11) from expected goals (n, 2); rho as in Dixon & Coles (1997)."""
    goals = np.arange(MAX_GOALS + 1)
    side = np.exp(goals * np.log(rates)[:, :, None] - rates[:, :, None] - _LOG_FACTORIALS)
    grid = side[:, 0, :, None] * side[:, 1, None, :]
    h, a = rates[:, 0], rates[:, 1]
    for (i, j), by_rho in {(0, 0): -h * a, (0, 1): h, (1, 0): a, (1, 1): -np.ones_like(h)}.items():
        grid[:, i, j] *= np.maximum(1 + rho * by_rho, 0.0)
    return np.asarray(grid / grid.sum(axis=(1, 2), keepdims=True))


def outcome_probabilities(grid: Floats) -> Floats:
    """Sum a score grid (n, 11, 11) to the probabilities (n, 3) of home, draw, away."""
    return np.stack([(grid * mask).sum(axis=(1, 2)) for mask in (_HOME, _DRAW, _AWAY)], axis=1)


def scorelines(probabilities: Floats, log_rates: Floats) -> Scorelines:
    """Compute the score grid of the goal ratings, scaled by outcome so that it sums to the forecast's probabilities.

    Parameters
    ----------
    probabilities : (n, 3) forecast, home, draw, away.
    log_rates : (n, 2) log expected goals of both sides by the goal ratings: `log_home_goals`, `log_away_goals`.
    """
    grid = score_grid(np.exp(log_rates))
    factor = probabilities / outcome_probabilities(grid)
    masks = np.stack([_HOME, _DRAW, _AWAY])
    consistent = grid * np.einsum("nk,kij->nij", factor, masks)
    goals = np.arange(MAX_GOALS + 1)
    expected = np.column_stack([consistent.sum(axis=2) @ goals, consistent.sum(axis=1) @ goals])
    return Scorelines(expected, consistent)
