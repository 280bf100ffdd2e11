"""Matches that a season must have and that no source lists yet."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from features.matches import SCHEMA, Status, as_known_at
from features.missing_fixtures import add_missing_fixtures, is_complete
from features.season_simulation import simulate

MOMENT = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def season(premier_league: pd.DataFrame) -> pd.DataFrame:
    now = as_known_at(premier_league, MOMENT)
    return now[now["season"] == "2025-26"].reset_index(drop=True)


@pytest.fixture
def near(season: pd.DataFrame) -> pd.DataFrame:
    """The season, cut to the fixtures of the next fortnight."""
    return season[season["kick_off"] < pd.Timestamp("2026-03-23", tz="UTC")].reset_index(drop=True)


def _expected_points(season: pd.DataFrame) -> pd.Series:
    ahead = season.loc[season["status"] != Status.PLAYED, ["match_id"]].reset_index(drop=True)
    rates = np.tile(np.log([1.5, 1.2]), (len(ahead), 1))
    table = simulate(season, ahead.assign(home=0.45, draw=0.27, away=0.28), rates, runs=4000)
    return table.set_index("team")["expected_points"].sort_index()


def test_a_season_of_which_only_near_fixtures_are_listed_ends_with_the_same_points(season, near) -> None:
    assert len(near) < 320
    whole = add_missing_fixtures(near)
    assert sorted(whole["match_id"]) == sorted(season["match_id"])
    assert list(whole.columns) == SCHEMA.names
    assert whole.iloc[len(near) :]["status"].eq(Status.SCHEDULED).all()
    np.testing.assert_allclose(_expected_points(whole), _expected_points(season), atol=0.35)
    assert (_expected_points(season) - _expected_points(near) > 3).all(), "the cut season would end far lower"


def test_a_whole_season_stays_as_it_is(season) -> None:
    assert is_complete(season)
    assert add_missing_fixtures(season) is season


def test_where_a_pair_meets_twice_at_each_ground_both_are_added(near) -> None:
    twice = add_missing_fixtures(near.assign(competition="sco-championship"))
    assert len(twice) == 2 * 380
    assert twice["match_id"].is_unique
    assert is_complete(twice)


@pytest.mark.parametrize("competition", ["sco-premiership", "atl-island-league"])
def test_where_the_format_is_not_known_nothing_is_added_and_the_season_is_not_whole(near, competition: str) -> None:
    same = near.assign(competition=competition)
    assert add_missing_fixtures(same) is same
    assert not is_complete(same)
