"""Seasons that ended before all matches were played: those of 2020 that the leagues decided to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd

from features.matches import Status

LONGEST_BREAK = timedelta(days=150)
"""A season is over if its last listed match is longer ago: longer than any break of a season, that of 2020 included."""


@dataclass(frozen=True)
class CurtailedSeason:
    """A season that a league ended early.

    Attributes
    ----------
    last_match : day of the last match, midnight UTC.
    decided : day on which the league ended the season, midnight UTC.
    per_match : whether the final table was ranked by points per match.
    champion : whether a champion was declared.
    relegated : clubs relegated without a play-off.
    """

    last_match: datetime
    decided: datetime
    per_match: bool = True
    champion: bool = True
    relegated: int = 0


def _day(month: int, day: int) -> datetime:
    return datetime(2020, month, day, tzinfo=UTC)


_CURTAILED: Mapping[tuple[str, str], CurtailedSeason] = {
    ("fra-ligue-1", "2019-20"): CurtailedSeason(_day(3, 8), _day(4, 30), relegated=2),
    ("fra-ligue-2", "2019-20"): CurtailedSeason(_day(3, 9), _day(4, 30), relegated=2),
    ("ned-eredivisie", "2019-20"): CurtailedSeason(_day(3, 8), _day(4, 24), per_match=False, champion=False),
    ("bel-pro-league", "2019-20"): CurtailedSeason(_day(3, 8), _day(5, 15), per_match=False),
    ("sco-premiership", "2019-20"): CurtailedSeason(_day(3, 11), _day(5, 18), relegated=1),
    ("sco-championship", "2019-20"): CurtailedSeason(_day(3, 10), _day(4, 15), relegated=1),
    ("sco-league-one", "2019-20"): CurtailedSeason(_day(3, 7), _day(4, 15), relegated=1),
    ("sco-league-two", "2019-20"): CurtailedSeason(_day(3, 7), _day(4, 15)),
    ("eng-league-one", "2019-20"): CurtailedSeason(_day(3, 10), _day(6, 9), relegated=3),
    ("eng-league-two", "2019-20"): CurtailedSeason(_day(3, 10), _day(6, 9), relegated=1),
    ("eng-national-league", "2019-20"): CurtailedSeason(_day(3, 14), _day(6, 17), relegated=3),
}
"""Belgium relegated no club, because its league was enlarged; the Netherlands neither crowned nor relegated any."""


def curtailed_season(competition: str, season: str) -> CurtailedSeason | None:
    """Return how a season was ended early; None if it was not, as far as is known here."""
    return _CURTAILED.get((competition, season))


def is_over(season: pd.DataFrame, as_of: datetime | None = None) -> bool:
    """Whether a season has ended although its format requires more matches.

    It has if its league decided so by `as_of`, or if nothing is to come and the last match is long ago.

    Parameters
    ----------
    season : all known matches of one competition and season.
    as_of : time of the question; None for the time after the last result. A season that was ended early then counts as
        over once its last match is among the results and none is listed to come.
    """
    known = curtailed_season(str(season["competition"].iloc[0]), str(season["season"].iloc[0]))
    if as_of is not None:
        long_ago = season["kick_off"].max() < pd.Timestamp(as_of) - LONGEST_BREAK
        return bool(long_ago) or (known is not None and as_of >= known.decided)
    last_result = season.loc[season["status"] == Status.PLAYED, "kick_off"].max()
    to_come = (season["kick_off"] > last_result) & (season["status"] != Status.PLAYED)
    return known is not None and bool(last_result >= pd.Timestamp(known.last_match)) and not to_come.any()
