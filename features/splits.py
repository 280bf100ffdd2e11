"""Walk-forward splits: a season is forecast by what was learnt from the seasons before it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def season_starts(seasons: pd.Series) -> NDArray[np.int64]:
    """Calendar year in which each season begins: "2025-26" gives 2025."""
    return np.asarray(seasons.str[:4].astype("int64"), dtype=np.int64)


def walk_forward(
    seasons: pd.Series, first: int, skip: int = 1
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (season start, training rows, test rows) for each season from `first` on.

    The first `skip` seasons of the data never train: the ratings have not settled there yet. Seasons with nothing to
    learn from before them are left out.
    """
    start = season_starts(seasons)
    settled = start >= start.min() + skip
    for season in sorted(set(start[start >= first])):
        train = np.flatnonzero(settled & (start < season))
        if len(train):
            yield int(season), train, np.flatnonzero(start == season)


def by_month(matches: pd.DataFrame, first: int, skip: int = 1) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (training rows, test rows) for each month from season `first` on: what was played before it, and in it.

    As in `walk_forward`, the first `skip` seasons never train.
    """
    start, month = season_starts(matches["season"]), matches["kick_off"].dt.strftime("%Y-%m").to_numpy()
    settled, asked = start >= start.min() + skip, start >= first
    for one in sorted(set(month[asked])):
        train = np.flatnonzero(settled & (month < one))
        if len(train):
            yield train, np.flatnonzero(asked & (month == one))
