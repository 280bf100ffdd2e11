"""Walk-forward splits: each season is forecast by a model trained on earlier seasons."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.matches import Status, decided_on_pitch


def season_starts(seasons: pd.Series) -> NDArray[np.int64]:
    """Return the calendar year in which each season begins: "2025-26" gives 2025."""
    return np.asarray(seasons.str[:4].astype("int64"), dtype=np.int64)


def after_burn_in(matches: pd.DataFrame) -> NDArray[np.bool_]:
    """Return a mask (n,) of the training rows: all but each competition's first season, in which ratings converge."""
    start = pd.Series(season_starts(matches["season"]), index=matches.index)
    return np.asarray(start > start.groupby(matches["competition"]).transform("min"))


def trainable(matches: pd.DataFrame, include_running_season: bool = False) -> NDArray[np.bool_]:
    """Return a mask (n,) of the rows to train on: played matches of complete seasons, optionally of the current one.

    Awarded matches are left out.

    A season is complete when all its matches are played or the next season has begun. A model of complete seasons may
    forecast every week of the current season; one that was trained on the current season may forecast later weeks only.
    """
    played = (matches["status"] == Status.PLAYED).to_numpy()
    on_pitch = decided_on_pitch(matches)
    if include_running_season:
        return on_pitch
    keys = matches["competition"] + "/" + matches["season"]
    latest = matches["competition"].map(matches[played].groupby("competition")["season"].max()).fillna("").astype("str")
    open_seasons = set(keys[~played])
    complete = (matches["season"] < latest).to_numpy() | ~keys.isin(open_seasons).to_numpy()
    return np.asarray(on_pitch & complete)


def walk_forward(matches: pd.DataFrame, first: int) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (season start, training rows, test rows) for each season from `first` on.

    Only `after_burn_in` rows train. Seasons without earlier training data are skipped.
    """
    start, usable = season_starts(matches["season"]), after_burn_in(matches)
    for season in sorted(set(start[start >= first])):
        train = np.flatnonzero(usable & (start < season))
        if len(train):
            yield int(season), train, np.flatnonzero(start == season)


def by_month(matches: pd.DataFrame, first: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (training rows, test rows) for each month from season `first` on: matches before it and in it.

    As in `walk_forward`, only `after_burn_in` rows train.
    """
    start, month = season_starts(matches["season"]), matches["kick_off"].dt.strftime("%Y-%m").to_numpy()
    usable, tested = after_burn_in(matches), start >= first
    for current in sorted(set(month[tested])):
        train = np.flatnonzero(usable & (month < current))
        if len(train):
            yield train, np.flatnonzero(tested & (month == current))
