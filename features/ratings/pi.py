"""pi-ratings: a home and an away rating per club (Constantinou & Fenton 2013)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.compiled import njit


class PiParams(NamedTuple):
    """`rate` is lambda, `carry` gamma of the paper; `newcomer` is added to the division's mean."""

    rate: float = 0.05
    carry: float = 0.7
    newcomer: float = -0.2


@njit(cache=True)
def expected_goals(rating: float) -> float:
    """Expected goal difference against an average club."""
    return float(np.sign(rating) * (10.0 ** (abs(rating) / 3.0) - 1.0))


@njit(cache=True)
def surprise(home_rating: float, away_rating: float, goal_difference: float) -> float:
    """psi(e): the diminished error of the expected goal difference, signed for the home club."""
    error = goal_difference - (expected_goals(home_rating) - expected_goals(away_rating))
    return float(np.sign(error) * 3.0 * np.log10(1.0 + abs(error)))
