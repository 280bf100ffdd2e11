"""Small seasons for tests of tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pandas as pd

from features.matches import Status, conform, with_match_ids

Score = tuple[str, str, int | None, int | None]

FOUR_CLUBS: list[Score] = [
    ("Leeds United", "Burnley", 2, 0),
    ("Leeds United", "Stoke City", 1, 0),
    ("Leeds United", "Hull City", 1, 1),
    ("Burnley", "Leeds United", 1, 0),
    ("Burnley", "Stoke City", 2, 0),
    ("Burnley", "Hull City", 0, 0),
    ("Stoke City", "Leeds United", 0, 1),
    ("Stoke City", "Burnley", 1, 1),
    ("Stoke City", "Hull City", 2, 1),
    ("Hull City", "Leeds United", 0, 2),
    ("Hull City", "Burnley", 0, 1),
    ("Hull City", "Stoke City", 1, 0),
]
PLAY_OFFS: list[Score] = [
    ("Hull City", "Stoke City", 3, 0),
    ("Stoke City", "Hull City", 0, 1),
    ("Hull City", "Burnley", 1, 0),
]


def season_of(competition: str, season: str, scores: Sequence[Score], first: str = "2026-08-01") -> pd.DataFrame:
    """A season with one match a day, in this order; a score of None is a fixture."""
    days = pd.date_range(f"{first} 15:00", periods=len(scores), freq="D", tz="UTC")
    table = pd.DataFrame(scores, columns=["home_team", "away_team", "home_goals", "away_goals"])
    return conform(
        with_match_ids(
            table.assign(
                competition=competition,
                season=season,
                kick_off=days,
                kick_off_exact=True,
                neutral=False,
                status=table["home_goals"].isna().map({True: Status.SCHEDULED.value, False: Status.PLAYED.value}),
                awarded=False,
                source="files",
            )
        )
    )


def round_robin(clubs: Sequence[str]) -> list[Score]:
    """Every club meets every other once at each ground, and the earlier one in the list wins 1-0."""
    return [
        (home, away, *((1, 0) if clubs.index(home) < clubs.index(away) else (0, 1)))
        for home, away in permutations(clubs, 2)
    ]
