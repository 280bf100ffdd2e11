"""Elo weighted by goal difference (Elo 1978; goal weighting as in Hvattum & Arntzen 2010)."""

from __future__ import annotations

from numba import njit


@njit(cache=True)
def change(gap: float, goal_difference: float, k: float, gamma: float) -> float:
    """Compute the points that the home club gains and the away club loses.

    Parameters
    ----------
    gap : home rating plus home advantage, minus away rating.
    goal_difference : home minus away goals.
    k : points per match.
    gamma : exponent of the weight (1 + |goal difference|); 0 ignores the goal difference.
    """
    expected = 1.0 / (1.0 + 10.0 ** (-gap / 400.0))
    score = 0.5 if goal_difference == 0 else (1.0 if goal_difference > 0 else 0.0)
    return float(k * (1.0 + abs(goal_difference)) ** gamma * (score - expected))
