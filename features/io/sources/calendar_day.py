"""Calendar days as files write them, and the order of day and month that a whole file uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from functools import lru_cache

from features.io.sources.cells import BadRowError, quoted

RARE = 0.02
"""Up to this share of a file's dates, the other order is a typing error in a row and not the file's order."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEAR_FIRST = re.compile(r"(\d{4})([-/.]?)(\d{2})\2(\d{2})", re.ASCII)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})", re.ASCII)
_DAY_MONTH_NAME = re.compile(
    r"(?:[a-z]{2,9},? )?(\d{1,2})(?:st|nd|rd|th)?[-/. ]+([a-z]{3,9})[-/., ]+(\d{4}|\d{2})", re.I
)
_MONTH_NAME_DAY = re.compile(r"(?:[a-z]{2,9},? )?([a-z]{3,9})[. ]+(\d{1,2})(?:st|nd|rd|th)?[, ]+(\d{4})", re.I)


class DayOrder(StrEnum):
    """Order of day and month in dates such as 09/07/2024."""

    DAY_FIRST = "day first"
    MONTH_FIRST = "month first"
    UNKNOWN = "unknown"


@lru_cache(maxsize=65536)
def parse_day(text: str, order: DayOrder = DayOrder.DAY_FIRST) -> date:
    """Parse a day of the years 1800 to 2199; two digits mean 1969 to 2068. Dots always mean day first.

    Raises
    ------
    BadRowError
        If the text is no day, or both orders fit and the order is unknown.
    """
    text = text.strip()
    found = _YEAR_LAST.fullmatch(text)
    if found is None:
        return _unambiguous_day(text)
    first, second, year = int(found[1]), int(found[3]), _full_year(found[4])
    if found[2] == ".":
        order = DayOrder.DAY_FIRST
    if order is DayOrder.UNKNOWN:
        if first <= 12 and second <= 12 and first != second:
            raise BadRowError(f"date {quoted(text)} may be day first or month first, and the file has both")
        order = DayOrder.DAY_FIRST if second <= 12 else DayOrder.MONTH_FIRST
    day, month = (first, second) if order is DayOrder.DAY_FIRST else (second, first)
    return _day(year, month, day, text)


def _unambiguous_day(text: str) -> date:
    if found := _YEAR_FIRST.fullmatch(text):
        return _day(int(found[1]), int(found[3]), int(found[4]), text)
    if found := _DAY_MONTH_NAME.fullmatch(text):
        return _day(_full_year(found[3]), _month(found[2], text), int(found[1]), text)
    if found := _MONTH_NAME_DAY.fullmatch(text):
        return _day(int(found[3]), _month(found[1], text), int(found[2]), text)
    hint = "; it looks like a spreadsheet's day number" if re.fullmatch(r"\d{5}(\.\d+)?", text, re.ASCII) else ""
    raise BadRowError(f"date {quoted(text)} is not in a known format; write it as 2025-08-16{hint}")


def _full_year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) == 4 else year + (1900 if year >= 69 else 2000)


def _month(name: str, text: str) -> int:
    if name[:3].lower() not in _MONTHS:
        raise BadRowError(f"date {quoted(text)} is not in a known format; write it as 2025-08-16")
    return _MONTHS.index(name[:3].lower()) + 1


def _day(year: int, month: int, day: int, text: str) -> date:
    if not 1800 <= year < 2200:
        raise BadRowError(f"date {quoted(text)} has no year from 1800 to 2199")
    try:
        return date(year, month, day)
    except ValueError:
        raise BadRowError(f"date {quoted(text)} is in no calendar") from None


def day_order(texts: Mapping[str, int], all_lie_in_season: Callable[[DayOrder], bool]) -> DayOrder | None:
    """Find the order of day and month of a file from all its dates with their counts.

    A date that fits one order decides, such as 08/31/2024. If none does, the dates are month first if only then all of
    them lie in their seasons. `UNKNOWN` if the file has dates of both orders; None if nothing tells.
    """
    day_first, month_first = _decided(texts, 0), _decided(texts, 1)
    if not day_first and not month_first:
        if not any(map(is_ambiguous, texts)):
            return None
        fits = {order: all_lie_in_season(order) for order in (DayOrder.DAY_FIRST, DayOrder.MONTH_FIRST)}
        return DayOrder.MONTH_FIRST if fits[DayOrder.MONTH_FIRST] and not fits[DayOrder.DAY_FIRST] else None
    if min(day_first, month_first) > RARE * max(day_first, month_first):
        return DayOrder.UNKNOWN
    return DayOrder.DAY_FIRST if day_first > month_first else DayOrder.MONTH_FIRST


@lru_cache(maxsize=65536)
def is_ambiguous(text: str) -> bool:
    """Whether a date is another day if read in the other order."""
    found = _YEAR_LAST.fullmatch(text.strip())
    return found is not None and found[2] != "." and found[1] != found[3] and max(int(found[1]), int(found[3])) <= 12


def _decided(texts: Mapping[str, int], day_at: int) -> int:
    """Count the dates in which only the number at `day_at` can be the day."""
    count = 0
    for text, repetitions in texts.items():
        found = _YEAR_LAST.fullmatch(text.strip())
        if found is not None and found[2] != ".":
            numbers = int(found[1]), int(found[3])
            if 12 < numbers[day_at] <= 31 and 1 <= numbers[1 - day_at] <= 12:
                count += repetitions
    return count
