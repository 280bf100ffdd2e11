"""A season is forecast by earlier ones only."""

import pandas as pd

from features.splits import after_burn_in, by_month, season_starts, walk_forward

SEASONS = pd.DataFrame(
    {"season": ["2019-20", "2020-21", "2020-21", "2021-22", "2022-23"], "competition": "eng-premier-league"}
)


def test_training_rows_come_from_earlier_seasons_and_never_from_the_first() -> None:
    start = season_starts(SEASONS["season"])
    for season, train, test in walk_forward(SEASONS, first=2021):
        assert (start[train] < season).all()
        assert (start[train] > 2019).all()
        assert (start[test] == season).all()


def test_seasons_without_anything_to_learn_from_are_left_out() -> None:
    assert [season for season, _, _ in walk_forward(SEASONS, first=2018)] == [2021, 2022]


def test_every_season_from_the_first_asked_for_is_tested_once() -> None:
    assert [season for season, _, _ in walk_forward(SEASONS, first=2021)] == [2021, 2022]


def test_a_month_is_forecast_by_the_months_before_it() -> None:
    days = pd.to_datetime(
        ["2019-08-03", "2020-09-12", "2020-10-31", "2020-11-01", "2020-11-28", "2020-12-01"], utc=True
    )
    seasons = ["2019-20", *["2020-21"] * 5]
    matches = pd.DataFrame({"season": seasons, "competition": "eng-premier-league", "kick_off": days})
    splits = [(train.tolist(), test.tolist()) for train, test in by_month(matches, first=2020)]
    assert splits == [([1], [2]), ([1, 2], [3, 4]), ([1, 2, 3, 4], [5])], "the first season never trains"


def test_a_competition_that_joins_later_has_a_first_season_of_its_own() -> None:
    later = SEASONS.assign(competition=["eng-premier-league"] * 2 + ["eng-championship"] * 3)
    assert after_burn_in(later).tolist() == [False, True, False, True, True]
    (_, train, _), *_ = walk_forward(later, first=2022)
    assert train.tolist() == [1, 3]
