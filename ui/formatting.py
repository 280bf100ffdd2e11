"""Dates, times and probabilities as text; times are shown in the browser's time zone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import streamlit as st


def browser_timezone() -> tzinfo:
    """Return the browser's time zone, or UTC if the browser does not send one or this machine does not know it."""
    try:
        return ZoneInfo(st.context.timezone) if st.context.timezone else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def timezone_name(timezone: tzinfo) -> str:
    return "UTC" if timezone is UTC else str(timezone).replace("_", " ")


def long_date(timestamp: datetime, timezone: tzinfo) -> str:
    local = timestamp.astimezone(timezone)
    return f"{local:%A} {local.day} {local:%B %Y}"


def short_date(timestamp: datetime, timezone: tzinfo) -> str:
    local = timestamp.astimezone(timezone)
    return f"{local.day} {local:%b %Y}"


def time_of_day(timestamp: datetime, timezone: tzinfo) -> str:
    return f"{timestamp.astimezone(timezone):%H:%M}"


def date_and_time(timestamp: datetime, timezone: tzinfo) -> str:
    return f"{short_date(timestamp, timezone)}, {time_of_day(timestamp, timezone)}"


def utc_date_and_time(timestamp: datetime) -> str:
    return f"{timestamp.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def equals_utc(timezone: tzinfo, timestamps: Iterable[datetime]) -> bool:
    """Whether the time zone shows the same time of day as UTC at each of these timestamps."""
    return all(time_of_day(timestamp, timezone) == time_of_day(timestamp, UTC) for timestamp in timestamps)


def percentage(probability: float) -> str:
    """Format a simulated probability. Only an outcome of no simulation, or of all, is shown as 0% or 100%."""
    if probability in (0, 1):
        return "–" if probability == 0 else "100%"
    if probability < 0.01:
        return "<1%"
    return ">99%" if probability > 0.99 else f"{probability:.0%}"
