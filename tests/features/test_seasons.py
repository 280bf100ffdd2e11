"""The days on which the matches of a season can lie."""

from __future__ import annotations

import pandas as pd
import pytest

from features.seasons import in_season_window


@pytest.mark.parametrize(
    ("season", "day", "inside"),
    [
        ("2025-26", "2025-06-30", True),  # Mexico begins at the end of June
        ("2025-26", "2025-06-01", False),
        ("2025-26", "2026-08-31", True),
        ("2025-26", "2026-10-11", False),
        ("2019-20", "2020-10-11", True),  # Egypt, interrupted in 2020
        ("2025", "2025-01-01", True),
        ("2025", "2024-12-01", False),
        ("2020", "2021-02-26", True),  # Brazil, interrupted in 2020
        ("2013-14", "2015-01-30", False),
        ("2021-22", "2063-08-31", False),
    ],
)
def test_a_day_lies_in_its_season_or_not(season: str, day: str, inside: bool) -> None:
    """Each kind of season has one window, and those of 2020 are longer."""
    table = pd.DataFrame({"season": [season], "kick_off": [pd.Timestamp(f"{day} 15:00", tz="UTC")]})
    assert in_season_window(table).tolist() == [inside]


def test_a_local_day_may_be_another_day_in_utc() -> None:
    """A match late on the last local day kicks off on the next day in UTC, which is accepted."""
    table = pd.DataFrame({"season": ["2025-26"], "kick_off": [pd.Timestamp("2026-09-01 02:00", tz="UTC")]})
    assert in_season_window(table).all()
    assert in_season_window(table.head(0)).empty
