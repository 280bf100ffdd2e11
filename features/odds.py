"""From bookmakers' odds to probabilities, and these together with those of a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax

from features.metrics import log_loss

Floats = NDArray[np.float64]

ODDS = ("odds_home", "odds_draw", "odds_away")
CLOSING_ODDS = ("closing_home", "closing_draw", "closing_away")
"""Columns of a matches table."""


def shin(odds: Floats, iterations: int = 60) -> Floats:
    """Probabilities (n, 3) behind decimal odds (n, 3), NaN where odds are missing or below a fair book; Shin (1993).

    The margin is read as the bookmaker's protection against a share z of insiders, which takes more from outsiders.
    """
    implied = 1.0 / np.asarray(odds, dtype=float)
    book = implied.sum(axis=1, keepdims=True)
    low, high = np.zeros_like(book), np.full_like(book, 0.5)
    for _ in range(iterations):  # the sum falls as z rises: halve the interval
        z = (low + high) / 2
        too_much = _share(implied, book, z).sum(axis=1, keepdims=True) > 1
        low, high = np.where(too_much, z, low), np.where(too_much, high, z)
    p = _share(implied, book, (low + high) / 2)
    p[(book[:, 0] < 1) | np.isnan(book[:, 0])] = np.nan
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _share(implied: Floats, book: Floats, z: Floats) -> Floats:
    return np.asarray((np.sqrt(z**2 + 4 * (1 - z) * implied**2 / book) - z) / (2 * (1 - z)))


def pooled(odds: Floats, ratings: Floats, weights: Floats) -> Floats:
    """Logarithmic pool (n, 3) of two forecasts (n, 3), proportional to odds^a * ratings^b; Genest & Zidek (1986)."""
    return np.asarray(softmax(weights[0] * np.log(odds) + weights[1] * np.log(ratings), axis=1))


def pool_weights(odds: Floats, ratings: Floats, outcomes: NDArray[np.int64]) -> Floats:
    """The weights (2,) with the least log loss.

    Two numbers, which leave the odds as they are where ratings add nothing: free coefficients on the log-odds of both
    forecast worse than the odds by themselves.
    """

    def loss(weights: Floats) -> float:
        return float(log_loss(pooled(odds, ratings, weights), outcomes).mean())

    return np.asarray(minimize(loss, np.array([1.0, 0.0])).x)
