"""From bookmakers' odds to probabilities and to what a model sees of them."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.matches import ODDS

Floats = NDArray[np.float64]

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


def market(matches: pd.DataFrame, moment: datetime | None = None) -> Floats:
    """What odds say of each match (n, 2): log(P(home) / P(draw)) and log(P(away) / P(draw)), NaN where there are none.

    Parameters
    ----------
    matches : a matches table, n rows.
    moment : when a forecast is made: odds that became known later are left out, as are those that were not known before
        kick-off. Default: kick-off, for matches to learn from.
    """
    told = np.full((len(matches), 2), np.nan)
    known_at = matches["odds_known_at"]
    usable = known_at <= (matches["kick_off"] if moment is None else pd.Timestamp(moment))
    if moment is not None:
        usable &= known_at < matches["kick_off"]
    rows = np.flatnonzero(usable)
    if len(rows):  # most sources have none
        p = np.log(shin(matches[list(ODDS)].iloc[rows].to_numpy(float)))
        told[rows] = p[:, [0, 2]] - p[:, [1]]
    return told
