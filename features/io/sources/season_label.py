"""Names of seasons as files write them: 2024/25, 2024-2025, 2024, 2025.0, and the season of a day."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise

from features.io.sources.cells import BadRowError, is_empty, quoted
from features.seasons import season_window, split_season

_TWO_YEARS = re.compile(r"(\d{4}|\d{2})\s*[-/–_]\s*(\d{4}|\d{2})", re.ASCII)
_ONE_YEAR = re.compile(r"(\d{4})(?:\.0*)?", re.ASCII)


@lru_cache(maxsize=4096)
def parse_season(text: str) -> str:
    """Return the name of a season, `2024-25` or `2024`.

    Raises
    ------
    BadRowError
        If the text is none, or its two years do not follow each other.
    """
    if is_empty(text):
        raise BadRowError("season is empty")
    two, one = _TWO_YEARS.fullmatch(text.strip()), _ONE_YEAR.fullmatch(text.strip())
    if two is not None:
        start = int(two[1]) if len(two[1]) == 4 else int(two[1]) + (1900 if int(two[1]) >= 69 else 2000)
        if int(two[2]) % 100 != (start + 1) % 100 or (len(two[2]) == 4 and int(two[2]) != start + 1):
            raise BadRowError(f"season {quoted(text)} is not of the form 2025-26: its years do not follow each other")
    elif one is not None:
        start = int(one[1])
    else:
        raise BadRowError(f"season {quoted(text)} is not of the form 2025-26 or 2025")
    if not 1850 <= start < 2150:
        hint = f"; write {_of_two_digits(text)}" if _of_two_digits(text) else ""
        raise BadRowError(f"season {quoted(text)} is not of the form 2025-26 or 2025{hint}")
    return split_season(start) if two is not None else str(start)


def _of_two_digits(text: str) -> str:
    """Return what `2425` probably means: `2024-25`."""
    digits = text.strip()[:4]
    return f"20{digits[:2]}-{digits[2:]}" if int(digits[2:]) == int(digits[:2]) + 1 else ""


def autumn_starts(days: Collection[date]) -> dict[int, date]:
    """Find the first day of the season that begins in each year: after the longest break of the summer.

    A year without a break of three weeks begins on 1 July. In 2020 some seasons ended in August.
    """
    ordered = sorted(days)
    breaks: dict[int, tuple[timedelta, date]] = {}
    for last, first in pairwise(ordered):
        year = first.year
        if last >= date(year, 5, 10) and first <= date(year, 10, 15) and first - last >= timedelta(days=21):
            breaks[year] = max(breaks.get(year, (timedelta(0), first)), (first - last, first))
    return {year: first for year, (_, first) in breaks.items()}


def autumn_season(day: date, starts: Mapping[int, date]) -> str:
    """Return the season of a day if seasons last from autumn to spring."""
    return split_season(day.year if day >= starts.get(day.year, date(day.year, 7, 1)) else day.year - 1)


def lies_in(day: date, season: str) -> bool:
    """Whether a day can belong to a season."""
    first, last = season_window(season)
    return first <= day <= last


def name_split_seasons(days: Iterable[tuple[str, date]], is_split: bool | None = None) -> dict[str, str]:
    """Name the seasons of one year that the days of a competition show to be seasons from autumn to spring.

    A season 2024 whose matches are in August 2024 to May 2025 is 2024-25; one whose matches are in August 2023 to May
    2024 is 2023-24. If the days of a season do not tell (it has just begun), those of the other seasons do.

    Parameters
    ----------
    days : season and day of each match.
    is_split : whether seasons of this competition last from autumn to spring, if that is known.
    """
    counts: dict[str, tuple[int, int, int, int]] = {}
    for season, day in days:
        if season.isdigit():
            year, (before, early, winter, spring) = int(season), counts.get(season, (0, 0, 0, 0))
            before += date(year - 1, 7, 1) <= day < date(year - 1, 12, 1)
            early += date(year, 1, 1) <= day < date(year, 7, 1)
            winter += date(year + 1, 1, 1) <= day < date(year + 1, 4, 1)
            spring += date(year + 1, 4, 1) <= day < date(year + 1, 9, 1)
            counts[season] = before, early, winter, spring
    if not counts:
        return {}
    before, early, winter, spring = (sum(column) for column in zip(*counts.values(), strict=True))
    usual = (0 if is_split else None) if is_split is not None else _years_before(before, early, winter + spring)
    named = {}
    for season, (before, early, _, spring) in counts.items():  # calendar years of 2020 ended in the next winter
        own = _years_before(before, early, spring) if early or spring else usual
        if own is not None:
            named[season] = split_season(int(season) - own)
    return named


def _years_before(before: int, early: int, after: int) -> int | None:
    """Return how many years before its name a season begins; None if it is a calendar year or too young to tell."""
    if after > early and after > before:
        return 0
    return 1 if early and before * 4 > early and before > after else None
