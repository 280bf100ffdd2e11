"""Times of day in the forms of public files."""

from __future__ import annotations

from datetime import date, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.io.sources.cells import BadRowError, parse_count
from features.io.sources.clock_time import kick_off, parse_clock


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20:00", "20:00"),
        (" 9.30 ", "09:30"),
        ("20:00:00", "20:00"),
        ("20:00:00.000", "20:00"),
        ("20h00", "20:00"),
        ("20h", "20:00"),
        ("8:00 PM", "20:00"),
        ("8pm", "20:00"),
        ("8 p.m.", "20:00"),
        ("12:15 am", "00:15"),
        ("12pm", "12:00"),
        ("20:00 UTC+1", "20:00+01:00"),
        ("20:00 UTC-3", "20:00-03:00"),
        ("20:00 utc+05:30", "20:00+05:30"),
        ("20:00+0100", "20:00+01:00"),
        ("20:00Z", "20:00+00:00"),
        ("20:00 GMT", "20:00+00:00"),
    ],
)
def test_times_in_common_forms_are_read(text: str, expected: str) -> None:
    """With the offset from UTC, if there is one."""
    assert parse_clock(text) == time.fromisoformat(expected)


@pytest.mark.parametrize(
    "text",
    ["", "20", "24:00", "20:60", "20:00 PM", "0:30 am", "evening", "20:00 CET", "20:00 UTC+99", "-8:00"],
)
def test_what_is_no_time_of_day_is_not_guessed(text: str) -> None:
    """A zone by its name is ambiguous; a number alone may be anything."""
    assert parse_clock(text) is None


def test_an_offset_takes_the_place_of_the_leagues_zone() -> None:
    """In summer London is at UTC+1; a file that says UTC+2 means another moment."""
    day = date(2026, 8, 15)
    assert kick_off(day, "20:00", "Europe/London")[0].hour == 19
    assert kick_off(day, "20:00 UTC+2", "Europe/London")[0].hour == 18
    moment, exact = kick_off(day, "soon", "Europe/London")
    assert (moment.hour, exact) == (14, False)


@settings(deadline=None)
@given(st.text(alphabet="0123456789:.hHpPaAmM UTCGZ+-", max_size=14))
def test_no_text_of_a_time_is_a_traceback(text: str) -> None:
    """It is a time or none."""
    moment = parse_clock(text)
    assert moment is None or 0 <= moment.hour <= 23


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-Infinity", "1e999", "1_0.5", "", "-1", "51"])
def test_what_is_no_count_is_refused(text: str) -> None:
    """Numbers that no match can have are errors of their row."""
    with pytest.raises(BadRowError, match="a score"):
        parse_count(text, "a score")
