"""Final standings of many simulated seasons, with the splits that a competition's rules have."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.standings import standings
from features.table_matches import before_split
from features.table_rules import LeagueRules, Split

Ints = NDArray[np.int64]


def final_standings(
    season: pd.DataFrame, clubs: pd.Index[str], goals: Ints, rules: LeagueRules, rulings: Ints, seed: int = 0
) -> tuple[Ints, Ints]:
    """Compute points and final positions (from 0), both (runs, n_clubs).

    Parameters
    ----------
    season : the m matches of the table.
    clubs : names of the clubs, in the order of the result.
    goals : (runs, m, 2) goals of the home and the away side.
    rules : rules of this season.
    rulings : (n_clubs,) points awarded or deducted (negative) off the pitch.
    seed : seed of the lots drawn between level clubs.
    """
    home, away = (clubs.get_indexer(pd.Index(season[side])) for side in ("home_team", "away_team"))

    def rank(
        matches: NDArray[np.bool_], points: Ints, groups: Ints | None = None, rounded: Ints | None = None
    ) -> tuple[Ints, Ints]:
        return standings(
            home[matches],
            away[matches],
            goals[:, matches],
            rules.ties,
            points,
            seed,
            rules.points_for_win,
            rules.per_match,
            groups,
            rounded,
        )

    if rules.split is None:
        return rank(np.ones(len(season), dtype=bool), rulings)
    regular = before_split(season, rules.split.after)
    points, position = rank(regular, rulings)
    if regular.all():
        return points, position
    group = _groups(position, rules.split)
    share = np.array([part.share for part in rules.split.groups])[group]
    kept = np.ceil(share * points).astype(np.int64)
    rounded = (kept > share * points).astype(np.int64)
    # the season's matches add the full points again, so the rulings take back what the clubs did not keep
    total, final = rank(np.ones(len(season), dtype=bool), rulings + kept - points, group, rounded)
    counts = np.array([part.counts for part in rules.split.groups])[group]
    return np.where(counts, total, points), np.where(counts, final, position)


def _groups(position: Ints, split: Split) -> Ints:
    """Number the groups (runs, n_clubs) of the clubs by their position before the split."""
    n_clubs = position.shape[1]
    ends = np.cumsum([n_clubs if group.clubs is None else group.clubs for group in split.groups])
    return np.minimum(np.searchsorted(ends, position, side="right"), len(ends) - 1)
