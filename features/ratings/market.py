"""Market ratings: what bookmakers thought of a club, filtered from the odds of its matches that are over.

An attack and a defence per club follow the closing odds like the state of a Kalman filter (Kalman 1960); ratings from
odds instead of results are due to Wunderlich & Memmert (2018, doi 10.1371/journal.pone.0198668). The expected log-odds
of a match are

    log(P(home) / P(draw)) = level + home advantage + attack_home - defence_away
    log(P(away) / P(draw)) = level + attack_away - defence_home

Odds say far more about a match than its score, so few of them suffice. How many a rating rests on is its variance: it
falls with each match with odds and rises with time, so a rating whose odds have stopped ages. Each match observes the
attack and the defence of both clubs, and both start alike, so they share one variance.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MOST_INSIDERS = 0.5
"""Upper limit of Shin's share of insiders."""
STEPS = 60
"""Bound of the search for that share; 60 halvings reach the precision of a float."""
PRECISION = 1e-12
"""Last step of the search: Newton's method squares the error with each step."""


@njit(cache=True, error_model="numpy")
def log_odds(home: float, draw: float, away: float) -> tuple[float, float]:
    """Compute log(P(home) / P(draw)) and log(P(away) / P(draw)) of decimal odds; NaN if they are missing or no odds.

    The probabilities are those of `features.odds.shin`, found by Newton's method within a bracket, which takes a
    twentieth of the time.
    """
    book = 1.0 / home + 1.0 / draw + 1.0 / away
    squares = (1.0 / home**2 / book, 1.0 / draw**2 / book, 1.0 / away**2 / book)
    if not (min(home, draw, away) > 0.0 and book >= 1.0 and min(squares) > 0.0):
        return np.nan, np.nan
    low, high, z = 0.0, MOST_INSIDERS, 0.0
    for _ in range(STEPS):
        excess, slope = -1.0, 0.0
        for square in squares:
            root = np.sqrt(z * z + 4.0 * (1.0 - z) * square)
            share = 2.0 * square / (root + z)
            excess += share
            slope -= share * (1.0 + (z - 2.0 * square) / root) / (root + z)
        if excess > 0.0:  # the sum of the shares falls as z rises
            low = z
        else:
            high = z
        following = z - excess / slope
        if not low < following < high:
            following = (low + high) / 2.0
        step, z = following - z, following
        if abs(step) <= PRECISION:
            break
    home_share, draw_share, away_share = squares
    draw_log = _log_share(draw_share, z)
    return _log_share(home_share, z) - draw_log, _log_share(away_share, z) - draw_log


@njit(cache=True, error_model="numpy")
def _log_share(square: float, z: float) -> float:
    return float(np.log(square / (np.sqrt(z * z + 4.0 * (1.0 - z) * square) + z)))


@njit(cache=True)
def gain(own_variance: float, opponent_variance: float, noise: float) -> float:
    """Compute the Kalman gain: the share of the error that moves a club's rating, and by which its variance falls.

    Parameters
    ----------
    own_variance, opponent_variance : of both clubs' ratings on the day of the match.
    noise : variance of the odds around what the ratings expect.
    """
    return float(own_variance / (own_variance + opponent_variance + noise))
