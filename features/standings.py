"""League tables of many simulated seasons at once, ranked by the rules of the competition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.league_rules import Tiebreaker

Ints = NDArray[np.int64]


def standings(
    home: Ints,
    away: Ints,
    goals: Ints,
    ties: Sequence[Tiebreaker],
    rulings: Ints,
    seed: int = 0,
    points_for_win: int = 3,
    per_match: bool = False,
    groups: Ints | None = None,
    rounded: Ints | None = None,
) -> tuple[Ints, Ints]:
    """Compute points and final positions (from 0), both (runs, n_clubs).

    Parameters
    ----------
    home, away : (m,) club numbers of each match.
    goals : (runs, m, 2) goals of the home and the away side.
    ties : criteria for clubs level on points, in order; clubs level on all of them are ranked by lot.
    rulings : (n_clubs,) or (runs, n_clubs) points awarded or deducted (negative) off the pitch.
    seed : seed of the lots.
    points_for_win : points of the winner; a draw gives one.
    per_match : whether clubs are ranked by points per match.
    groups : (runs, n_clubs) group of each club after a split; clubs of a lower number stay above the others.
    rounded : (runs, n_clubs) 1 for clubs whose halved points were rounded up: they are below clubs level with them.
    """
    runs, n = len(goals), rulings.shape[-1]
    # [i, j]: record of club i against club j; runs are the last axis, so that a match updates contiguous memory
    won, scored, away_scored, wins = (np.zeros((n, n, runs), dtype=np.int16) for _ in range(4))
    scores = np.ascontiguousarray(goals.transpose(1, 2, 0), dtype=np.int16)
    for h, a, (home_goals, away_goals) in zip(home, away, scores, strict=True):
        won[h, a] += points_for_win * (home_goals > away_goals) + (home_goals == away_goals)
        won[a, h] += points_for_win * (home_goals < away_goals) + (home_goals == away_goals)
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
    points = won.sum(axis=1, dtype=np.int64) + np.broadcast_to(rulings, (runs, n)).T
    rank = np.zeros((n, runs), dtype=np.int64) if groups is None else _refine(np.zeros_like(points), -groups.T)
    rank = _refine(rank, _per_match(points, home, away) if per_match else points)
    if rounded is not None:
        rank = _refine(rank, -rounded.T)
    for tie in ties:
        count = counts[tie.counts]
        if tie.direct:  # only against clubs that are level after the previous criteria
            count = count * (rank[:, None] == rank[None])
        rank = _refine(rank, count.sum(axis=1, dtype=np.int64))
    lot = np.random.default_rng(seed + 1).permuted(np.tile(np.arange(n)[:, None], runs), axis=0)
    return points.T, _refine(rank, lot).T


def _per_match(points: Ints, home: Ints, away: Ints) -> Ints:
    """Scale points (n, runs) to a common number of matches, so that they stay exact."""
    played = np.bincount(np.concatenate([home, away]), minlength=len(points))
    common = np.lcm.reduce(np.maximum(played, 1))
    return np.asarray(points * (common // np.maximum(played, 1))[:, None])


def _refine(rank: Ints, value: Ints) -> Ints:
    """Refine ranks (n, runs): clubs of equal rank are ordered by a value (n, runs), the highest first."""
    better = (rank[None] < rank[:, None]) | ((rank[None] == rank[:, None]) & (value[None] > value[:, None]))
    return np.asarray(better.sum(axis=1))
