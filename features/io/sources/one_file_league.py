"""Leagues whose seasons are all in one file of football-data.co.uk: their names there, and the seasons of fixtures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta

import pandas as pd

from features.competitions import country_of
from features.seasons import season_window, split_season

_NAMES = {
    "arg": ("Argentina", "Liga Profesional", "Superliga", "Primera Division"),
    "aut": ("Austria", "Bundesliga"),
    "bra": ("Brazil", "Serie A"),
    "chn": ("China", "Super League"),
    "den": ("Denmark", "Superliga"),
    "fin": ("Finland", "Veikkausliiga"),
    "irl": ("Ireland", "Premier Division"),
    "jpn": ("Japan", "J-League", "J1 League"),
    "mex": ("Mexico", "Liga MX"),
    "nor": ("Norway", "Eliteserien", "Tippeligaen"),
    "pol": ("Poland", "Ekstraklasa"),
    "rou": ("Romania", "Superliga", "Liga 1", "Liga I"),
    "rus": ("Russia", "Premier League"),
    "sui": ("Switzerland", "Super League"),
    "swe": ("Sweden", "Allsvenskan"),
    "usa": ("USA", "MLS"),
}
"""Country and league as the columns of the files name them."""

PAUSE = timedelta(days=21)
"""Two matches of one season that lie around the turn of its name are closer; between two seasons is more time."""


def is_country_of(competition: str, country: str | None) -> bool:
    """Whether a cell of the column `Country` names the country of a competition."""
    names = _NAMES.get(country_of(competition), ())
    return bool(names) and _key(country or "") == _key(names[0])


def other_leagues(competition: str, rows: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which of the pairs of season and league belong to another league than the competition.

    Where one season has several leagues, the catalogued one is meant, or else the one with the most rows. A league
    that is alone in its season is meant whatever its name: sponsors change it.
    """
    counts: dict[str, Counter[str]] = {}
    spellings: dict[tuple[str, str], set[str]] = {}
    for season, league in rows:
        if key := _key(league):
            counts.setdefault(season, Counter())[key] += 1
            spellings.setdefault((season, key), set()).add(league)
    names = {_key(name) for name in _NAMES.get(country_of(competition), ())[1:]}
    others: set[tuple[str, str]] = set()
    for season, leagues in counts.items():
        meant = names & set(leagues) or {leagues.most_common(1)[0][0]}
        others |= {(season, league) for key in set(leagues) - meant for league in spellings[season, key]}
    return others


def season_of_label(label: str) -> str | None:
    """Read the column `Season`: 2024 or 2024/2025, which becomes 2024-25; None if it is neither."""
    years = re.fullmatch(r"((?:18|19|20)\d\d)(?:/(\d{4}))?", label.strip(), re.ASCII)
    if years is None:
        return None
    if not years[2]:
        return years[1]
    return f"{years[1]}-{years[2][2:]}" if int(years[2]) == int(years[1]) + 1 else None


def season_of_fixture(day: date, results: pd.DataFrame) -> str:
    """Return the season of a fixture: that of the last result, or the next one if there is a pause between.

    Parameters
    ----------
    results : matches of the league with the columns `season` and `kick_off`; at least one.
    """
    last = results.sort_values("kick_off").iloc[-1]
    season, last_day = str(last["season"]), last["kick_off"].date()
    if abs(day.year - last_day.year) > 1:  # a typing error, which the window of the season then refuses
        return season
    if "-" in season:
        start = day.year if day >= season_window(split_season(day.year))[0] else day.year - 1
        named = split_season(start)
    else:
        named = f"{day.year:04d}"
    goes_on = day - last_day <= PAUSE and day <= season_window(season)[1]
    return season if goes_on else named


def _key(name: str) -> str:
    """Return what two spellings of a name share."""
    return re.sub(r"[^\w]+", " ", name.casefold()).strip()
