"""Bookmakers' odds as probabilities and as model input."""

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
    """Convert decimal odds (n, 3) to probabilities (n, 3); Shin (1993).

    The bookmaker's margin is modelled as protection against a share z of insiders; it is larger on outsiders. The
    result is NaN if odds are missing or their inverses sum to less than 1.
    """
    implied = 1.0 / np.asarray(odds, dtype=float)
    book = implied.sum(axis=1, keepdims=True)
    low, high = np.zeros_like(book), np.full_like(book, 0.5)
    for _ in range(iterations):  # bisection: the sum falls as z rises
        z = (low + high) / 2
        above_one = _share(implied, book, z).sum(axis=1, keepdims=True) > 1
        low, high = np.where(above_one, z, low), np.where(above_one, high, z)
    p = _share(implied, book, (low + high) / 2)
    p[(book[:, 0] < 1) | np.isnan(book[:, 0])] = np.nan
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _share(implied: Floats, book: Floats, z: Floats) -> Floats:
    return np.asarray((np.sqrt(z**2 + 4 * (1 - z) * implied**2 / book) - z) / (2 * (1 - z)))


def last_odds(matches: pd.DataFrame) -> Floats:
    """Return the last known odds (n, 3) of each match: closing odds, else those before the match; NaN without either.

    They are known once the match is over, whenever they became known, so only the ratings of later matches may use
    them.
    """
    closing = matches[list(CLOSING_ODDS)].to_numpy(float)
    has_closing = np.isfinite(closing).all(axis=1, keepdims=True)
    return np.where(has_closing, closing, matches[list(ODDS)].to_numpy(float))


def bookmaker_log_odds(matches: pd.DataFrame, moment: datetime | None = None) -> Floats:
    """Compute the bookmakers' log-odds (n, 2), log(P(home) / P(draw)) and log(P(away) / P(draw)); NaN without odds.

    Parameters
    ----------
    matches : a matches table, n rows.
    moment : time of the forecast. Odds that became known later, or only at kick-off, are ignored. Default: kick-off,
        for training.
    """
    log_odds = np.full((len(matches), 2), np.nan)
    known_at = matches["odds_known_at"]
    usable = known_at <= (matches["kick_off"] if moment is None else pd.Timestamp(moment))
    if moment is not None:
        usable &= known_at < matches["kick_off"]
    rows = np.flatnonzero(usable)
    if len(rows):  # most sources have no odds
        p = np.log(shin(matches[list(ODDS)].iloc[rows].to_numpy(float)))
        log_odds[rows] = p[:, [0, 2]] - p[:, [1]]
    return log_odds
