"""From bookmakers' odds to probabilities, and to features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ODDS_FEATURES = ("odds_home", "odds_away")
"""Log of home against draw and of away against draw, by the odds before the match. They belong to no state: whoever
uses a model with them must bring odds."""


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


def odds_features(odds: Floats) -> Floats:
    """`ODDS_FEATURES` (n, 2) of decimal odds (n, 3)."""
    log = np.log(shin(odds))
    return np.column_stack([log[:, 0] - log[:, 1], log[:, 2] - log[:, 1]])
