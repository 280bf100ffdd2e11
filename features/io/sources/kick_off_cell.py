"""Kick-offs as the user's files write them: a day, or a day with a time, with or without zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache
from typing import NamedTuple

from features.io.sources.calendar_day import DayOrder, parse_day
from features.io.sources.cells import BadRowError, quoted
from features.io.sources.clock_time import kick_off, parse_clock, unread_clock

MIDNIGHT = time(0)
_DAY_AND_CLOCK = re.compile(r"(\S.*?)(?:(?<=\d)[T,]\s*|,?\s+)(\d{1,2}(?:[:.h]\d.*|\s*[ap]\.?m.*|h))", re.IGNORECASE)


class KickOff(NamedTuple):
    """Day and time of day of a cell; the time is None if there is none."""

    day: date
    clock: time | None = None
    reason: str = ""
    """What is wrong with a time that cannot be read."""


class Moment(NamedTuple):
    """Kick-off in UTC, and whether its time of day is known."""

    at: datetime
    is_exact: bool


@lru_cache(maxsize=65536)
def day_text(cell: str) -> str:
    """Return the part of a cell that is the day."""
    found = _DAY_AND_CLOCK.fullmatch(cell) if len(cell) <= 60 else None
    return found[1] if found else cell


@lru_cache(maxsize=65536)
def parse_kick_off(cell: str, order: DayOrder) -> KickOff:
    """Parse a day, with or without a time of day.

    Raises
    ------
    BadRowError
        If the cell has no day.
    """
    if len(cell) > 60:
        raise BadRowError(f"kick_off {quoted(cell)} is not a day; write 2025-08-16 or 2025-08-16T14:00+00:00")
    if len(cell) > len("2025-08-16") and cell[4:5] == "-":
        try:
            moment = datetime.fromisoformat(cell)
            return KickOff(parse_day(moment.date().isoformat()), moment.timetz())
        except ValueError:
            pass
    found = _DAY_AND_CLOCK.fullmatch(cell)
    if found is None:
        return KickOff(parse_day(cell, order))
    clock = parse_clock(found[2])
    return KickOff(parse_day(found[1], order), clock, "" if clock else unread_clock(found[2]) or "")


def moment(kick: KickOff, zone: tzinfo | None) -> Moment | None:
    """Return the kick-off in UTC, in the zone of the cell or else in `zone`; None if no zone is known."""
    if kick.clock is None:
        return Moment(*kick_off(kick.day, "", "UTC"))
    zone = kick.clock.tzinfo or zone
    return Moment(datetime.combine(kick.day, kick.clock, zone).astimezone(UTC), True) if zone else None


def is_midnight(clock: time) -> bool:
    """Whether a time of day is midnight in its own zone: data frames write it for days without time."""
    return clock.replace(tzinfo=None) == MIDNIGHT
