"""Which matches of a season count in its table: not play-offs, and no clubs that appear only in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.table_rules import LeagueRules

Mask = NDArray[np.bool_]

GUEST_SHARE = 0.5
"""A club with fewer opponents than this share of the usual number may be a guest of another tier."""
MOSTLY_PLAYED = 0.75
"""Share of its matches after which a season is mostly played; those of 2019/20 that ended early reached it."""


def in_table(season: pd.DataFrame, rules: LeagueRules) -> Mask:
    """Return a mask (n,) of the matches that count in the table.

    If the format says how often each pair meets, its further matches are play-offs. Clubs that appear only in play-offs
    are not in the table.

    Parameters
    ----------
    season : all known matches of one competition and season, n rows.
    rules : rules of this season.
    """
    guests = guest_clubs(season, rules.meetings)
    counts = ~(season["home_team"].isin(guests) | season["away_team"].isin(guests)).to_numpy()
    if rules.meetings is None:
        return np.asarray(counts)
    return np.asarray(counts & (_meeting_numbers(season) <= rules.meetings))


def guest_clubs(season: pd.DataFrame, meetings: int | None = None) -> list[str]:
    """List the clubs of another tier that appear only in play-offs, such as the third of the tier below.

    A guest has few opponents, and plays for the first time when the others have played most of their matches. If the
    number of `meetings` at each ground is unknown, one is assumed.
    """
    sides = _sides(season)
    opponents = sides.groupby("team")["opponent"].nunique()
    few = opponents.index[opponents < GUEST_SHARE * opponents.median()]
    regular = sides[~sides["team"].isin(few)]
    clubs = regular["team"].unique()
    usual = (len(clubs) - 1) * 2 * (1 if meetings is None else meetings) * MOSTLY_PLAYED
    first = sides[sides["team"].isin(few)].groupby("team")["kick_off"].min()
    return [
        str(team)
        for team, kick_off in first.items()
        if regular[regular["kick_off"] < kick_off].groupby("team").size().reindex(clubs, fill_value=0).median() >= usual
    ]


def before_split(season: pd.DataFrame, after: int) -> Mask:
    """Return a mask (n,) of the matches before a split: the first `after` matches of both clubs, by kick-off."""
    ordered = season.sort_values("kick_off", kind="stable")
    played: dict[str, int] = {}
    numbers = {}
    for row, home, away in zip(ordered.index, ordered["home_team"], ordered["away_team"], strict=True):
        for club in (home, away):
            played[club] = played.get(club, 0) + 1
        numbers[row] = max(played[home], played[away])
    return np.asarray(pd.Series(numbers).reindex(season.index).to_numpy() <= after)


def _meeting_numbers(season: pd.DataFrame) -> NDArray[np.int64]:
    """Count the meetings (n,) of each pair at each ground, from 1: by matchday, those without one last, then day."""
    ordered = season.sort_values("kick_off", kind="stable")
    ordered = ordered.sort_values("matchday", kind="stable") if "matchday" in ordered else ordered
    number = ordered.groupby(["home_team", "away_team"], sort=False).cumcount() + 1
    return np.asarray(number.reindex(season.index), dtype=np.int64)


def _sides(season: pd.DataFrame) -> pd.DataFrame:
    """List team, opponent and kick-off of both sides of each match."""
    columns = ["team", "opponent", "kick_off"]
    home, away = (["home_team", "away_team", "kick_off"], ["away_team", "home_team", "kick_off"])
    return pd.concat([season[side].set_axis(columns, axis=1) for side in (home, away)], ignore_index=True)
