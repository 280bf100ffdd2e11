"""Moments as the reader's clock shows them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import streamlit as st


def browser_timezone() -> tzinfo:
    """The browser's timezone; UTC when it is unknown here or the browser tells none."""
    try:
        return ZoneInfo(st.context.timezone) if st.context.timezone else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def timezone_name(where: tzinfo) -> str:
    return "UTC" if where is UTC else str(where).replace("_", " ")


def day(moment: datetime, where: tzinfo) -> str:
    local = moment.astimezone(where)
    return f"{local:%A} {local.day} {local:%B %Y}"


def short_day(moment: datetime, where: tzinfo) -> str:
    local = moment.astimezone(where)
    return f"{local.day} {local:%b %Y}"


def clock(moment: datetime, where: tzinfo) -> str:
    return f"{moment.astimezone(where):%H:%M}"


def utc_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def reads_as_utc(where: tzinfo, moments: Iterable[datetime]) -> bool:
    """Whether the reader's clock shows these moments as UTC does."""
    return all(clock(moment, where) == clock(moment, UTC) for moment in moments)


def moment(at: datetime, where: tzinfo) -> str:
    return f"{short_day(at, where)}, {clock(at, where)}"
