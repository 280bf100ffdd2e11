"""Seasons: on which days the matches of a season can lie."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd

_EXTENDED = {"2019-20": date(2020, 12, 31), "2020": date(2021, 3, 31)}
"""Seasons that 2020 interrupted: Egypt's 2019/20 ended in October 2020, Brazil's 2020 in February 2021."""

UTC_MARGIN = timedelta(days=1)
"""A kick-off in UTC can be on the day before or after the local day."""


def split_season(start: int) -> str:
    """Return the name of the season from autumn of the year `start` to the next spring."""
    return f"{start:04d}-{(start + 1) % 100:02d}"


def next_season(season: str) -> str:
    """Return the name of the season after "2025-26" or "2025"."""
    start = int(season[:4]) + 1
    return split_season(start) if "-" in season else f"{start:04d}"


@lru_cache(maxsize=4096)
def season_window(season: str) -> tuple[date, date]:
    """Return the first and last possible day of a season, such as "2025-26" (autumn to spring) or "2025".

    Autumn seasons begin in the second half of June at the earliest (Mexico) and end in August at the latest. Seasons
    of a calendar year may run into March of the next one. Seasons that were interrupted in 2020 have more time.
    """
    start = int(season[:4])
    if "-" in season:
        first, last = date(start, 6, 20), date(start + 1, 8, 31)
    else:
        first, last = date(start, 1, 1), date(start + 1, 3, 31)
    return first, max(last, _EXTENDED.get(season, last))


def in_season_window(matches: pd.DataFrame) -> pd.Series:
    """Return a mask of the matches that kick off within the window of their season, to one day for the time zone.

    Parameters
    ----------
    matches : DataFrame with the columns `season` and `kick_off` (UTC).
    """
    names = matches["season"].unique()
    windows = {name: season_window(str(name)) for name in names}
    first, last = (
        matches["season"].map({name: pd.Timestamp(window[i], tz="UTC") for name, window in windows.items()})
        for i in (0, 1)
    )
    day = matches["kick_off"].dt.floor("D")
    inside = (day >= first - UTC_MARGIN) & (day <= last + UTC_MARGIN) if len(matches) else np.array([], dtype=bool)
    return pd.Series(inside, index=matches.index, dtype=bool)
