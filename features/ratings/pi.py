"""pi-ratings: a home and an away rating per club (Constantinou & Fenton 2013)."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def expected_goals(rating: float) -> float:
    """Compute the expected goal difference against an average club."""
    return float(np.sign(rating) * (10.0 ** (abs(rating) / 3.0) - 1.0))


@njit(cache=True)
def error_after_diminishing(home_rating: float, away_rating: float, goal_difference: float) -> float:
    """Compute the paper's psi(e): the dampened error of the expected goal difference, from the home club's view."""
    error = goal_difference - (expected_goals(home_rating) - expected_goals(away_rating))
    return float(np.sign(error) * 3.0 * np.log10(1.0 + abs(error)))
