"""League tables of many seasons at once, ordered by a competition's own rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.league_rules import Tiebreaker

Ints = NDArray[np.int64]


def standings(
    home: Ints, away: Ints, goals: Ints, ties: Sequence[Tiebreaker], rulings: Ints, seed: int = 0
) -> tuple[Ints, Ints]:
    """Points and final positions from 0, both (runs, n_clubs).

    Parameters
    ----------
    home, away : (m,) club numbers of each match.
    goals : (runs, m, 2) of both sides.
    ties : what parts clubs level on points, the first criterion first; clubs level in all of them are parted by lot.
    rulings : (n_clubs,) points that were awarded or, below zero, deducted off the pitch.
    """
    runs, n = len(goals), len(rulings)
    # [i, j]: what club i did against club j; the runs last, so that each match is written in one sweep
    won, scored, abroad, wins = (np.zeros((n, n, runs), dtype=np.int16) for _ in range(4))
    scores = np.ascontiguousarray(goals.transpose(1, 2, 0), dtype=np.int16)
    for h, a, (mine, theirs) in zip(home, away, scores, strict=True):
        won[h, a] += 3 * (mine > theirs) + (mine == theirs)
        won[a, h] += 3 * (mine < theirs) + (mine == theirs)
        wins[h, a] += mine > theirs
        wins[a, h] += mine < theirs
        scored[h, a] += mine
        scored[a, h] += theirs
        abroad[a, h] += theirs
    counts = {
        Tiebreaker.POINTS: won,
        Tiebreaker.DIFFERENCE: scored - scored.transpose(1, 0, 2),
        Tiebreaker.GOALS: scored,
        Tiebreaker.AWAY_GOALS: abroad,
        Tiebreaker.WINS: wins,
    }
    points = won.sum(axis=1, dtype=np.int64) + rulings[:, None]
    rank = _refined(np.zeros((n, runs), dtype=np.int64), points)
    for tie in ties:
        count = counts[tie.counts]
        if tie.direct:  # only against those whom everything before this has left level
            count = count * (rank[:, None] == rank[None])
        rank = _refined(rank, count.sum(axis=1, dtype=np.int64))
    lot = np.random.default_rng(seed + 1).permuted(np.tile(np.arange(n)[:, None], runs), axis=0)
    return points.T, _refined(rank, lot).T


def _refined(rank: Ints, value: Ints) -> Ints:
    """Ranks (n, runs) after clubs of one rank are parted by a value (n, runs), the higher the better."""
    better = (rank[None] < rank[:, None]) | ((rank[None] == rank[:, None]) & (value[None] > value[:, None]))
    return np.asarray(better.sum(axis=1))
