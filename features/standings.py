"""League tables of many simulated seasons at once, ranked by the rules of the competition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.league_rules import Tiebreaker

Ints = NDArray[np.int64]


def standings(
    home: Ints, away: Ints, goals: Ints, ties: Sequence[Tiebreaker], rulings: Ints, seed: int = 0
) -> tuple[Ints, Ints]:
    """Compute points and final positions (from 0), both (runs, n_clubs).

    Parameters
    ----------
    home, away : (m,) club numbers of each match.
    goals : (runs, m, 2) goals of the home and the away side.
    ties : criteria for clubs level on points, in order; clubs level on all of them are ranked by lot.
    rulings : (n_clubs,) points awarded or deducted (negative) off the pitch.
    seed : seed of the lots.
    """
    runs, n = len(goals), len(rulings)
    # [i, j]: record of club i against club j; runs are the last axis, so that a match updates contiguous memory
    won, scored, away_scored, wins = (np.zeros((n, n, runs), dtype=np.int16) for _ in range(4))
    scores = np.ascontiguousarray(goals.transpose(1, 2, 0), dtype=np.int16)
    for h, a, (home_goals, away_goals) in zip(home, away, scores, strict=True):
        won[h, a] += 3 * (home_goals > away_goals) + (home_goals == away_goals)
        won[a, h] += 3 * (home_goals < away_goals) + (home_goals == away_goals)
        wins[h, a] += home_goals > away_goals
        wins[a, h] += home_goals < away_goals
        scored[h, a] += home_goals
        scored[a, h] += away_goals
        away_scored[a, h] += away_goals
    counts = {
        Tiebreaker.POINTS: won,
        Tiebreaker.DIFFERENCE: scored - scored.transpose(1, 0, 2),
        Tiebreaker.GOALS: scored,
        Tiebreaker.AWAY_GOALS: away_scored,
        Tiebreaker.WINS: wins,
    }
    points = won.sum(axis=1, dtype=np.int64) + rulings[:, None]
    rank = _refine(np.zeros((n, runs), dtype=np.int64), points)
    for tie in ties:
        count = counts[tie.counts]
        if tie.direct:  # only against clubs that are level after the previous criteria
            count = count * (rank[:, None] == rank[None])
        rank = _refine(rank, count.sum(axis=1, dtype=np.int64))
    lot = np.random.default_rng(seed + 1).permuted(np.tile(np.arange(n)[:, None], runs), axis=0)
    return points.T, _refine(rank, lot).T


def _refine(rank: Ints, value: Ints) -> Ints:
    """Refine ranks (n, runs): clubs of equal rank are ordered by a value (n, runs), the highest first."""
    better = (rank[None] < rank[:, None]) | ((rank[None] == rank[:, None]) & (value[None] > value[:, None]))
    return np.asarray(better.sum(axis=1))
