"""Times of day as files write them: 20:00, 20.00, 20:00:00, 20h00, 8:00 PM, with or without an offset from UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from features.io.sources.cells import is_empty, quoted

DEFAULT_KICK_OFF = time(15)
_UNDECIDED = frozenset({"tba", "tbc", "tbd", "?", "unknown"})
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?:[:.h](?P<minute>\d{2}))?(?:[:.](?P<second>\d{2})(?:\.\d+)?)?(?P<h> ?h)?"
    r" ?(?:(?P<half>[ap])\.?m\.?)?"
    r" ?(?P<utc>z|utc|gmt)? ?(?:(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?)?",
    re.ASCII,
)
MOST_OFFSET = timedelta(hours=14)


@lru_cache(maxsize=4096)
def parse_clock(text: str) -> time | None:
    """Read a time of day; it has a time zone if the text has an offset. None if the text is something else."""
    if len(text) > 40:
        return None
    parts = _CLOCK.fullmatch(" ".join(text.casefold().split()).strip("()"))
    if parts is None or not (parts["minute"] or parts["half"] or parts["h"]):
        return None
    hour, minute, second = int(parts["hour"]), int(parts["minute"] or 0), int(parts["second"] or 0)
    if parts["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (parts["half"] == "p")
    if hour > 23 or minute > 59 or second > 59:
        return None
    if not (parts["utc"] or parts["sign"]):
        return time(hour, minute)
    offset = timedelta(hours=int(parts["hours"] or 0), minutes=int(parts["minutes"] or 0))
    if offset > MOST_OFFSET:
        return None
    return time(hour, minute, tzinfo=timezone(-offset if parts["sign"] == "-" else offset))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def kick_off(day: date, clock: str, timezone: str) -> tuple[datetime, bool]:
    """Return the kick-off in UTC, and whether the time of day is known. An unknown time becomes 15:00."""
    known = parse_clock(clock)
    local = datetime.combine(day, known or DEFAULT_KICK_OFF)
    if local.tzinfo is None:
        local = local.replace(tzinfo=_zone(timezone))
    return local.astimezone(UTC), known is not None


def unread_clock(clock: str) -> str | None:
    """Return a sentence about a time that is there and cannot be read; None if it can, or if there is none."""
    if is_empty(clock) or clock.strip().casefold() in _UNDECIDED or parse_clock(clock) is not None:
        return None
    return f"time {quoted(clock)} is not readable, write 20:00: only the day is known"
