"""A season is forecast by earlier ones only."""

import pandas as pd

from features.splits import season_starts, walk_forward

SEASONS = pd.Series(["2019-20", "2020-21", "2020-21", "2021-22", "2022-23"])


def test_training_rows_come_from_earlier_seasons_and_never_from_the_first() -> None:
    start = season_starts(SEASONS)
    for season, train, test in walk_forward(SEASONS, first=2021):
        assert (start[train] < season).all()
        assert (start[train] > 2019).all()
        assert (start[test] == season).all()


def test_seasons_without_anything_to_learn_from_are_left_out() -> None:
    assert [season for season, _, _ in walk_forward(SEASONS, first=2018)] == [2021, 2022]


def test_every_season_from_the_first_asked_for_is_tested_once() -> None:
    assert [season for season, _, _ in walk_forward(SEASONS, first=2021)] == [2021, 2022]
