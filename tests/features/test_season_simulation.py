"""The simulated rest of a season."""

from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from features import season_backtest
from features.errors import InvalidInputError
from features.league_rules import rules_of
from features.matches import Status, as_known_at
from features.season_simulation import COLUMNS, simulate

EPL = "eng-premier-league"

Forecasts: TypeAlias = tuple[pd.DataFrame, NDArray[np.float64]]  # probabilities and log expected goals


@pytest.fixture(scope="module")
def season(premier_league: pd.DataFrame) -> pd.DataFrame:
    now = as_known_at(premier_league, datetime(2026, 3, 9, tzinfo=UTC))
    return now[now["season"] == "2025-26"].reset_index(drop=True)


def _forecasts(season: pd.DataFrame, p: tuple[float, float, float] = (0.45, 0.27, 0.28)) -> Forecasts:
    ahead = season.loc[season["status"] != Status.PLAYED, ["match_id"]].reset_index(drop=True)
    rates = np.tile(np.log([1.5, 1.2]), (len(ahead), 1))
    return ahead.assign(home=p[0], draw=p[1], away=p[2]), rates


def test_every_club_has_one_position_and_every_position_one_club(season: pd.DataFrame) -> None:
    table = simulate(season, *_forecasts(season), runs=500)
    places = table.filter(like="position_").to_numpy()
    assert list(table.columns[: len(COLUMNS)]) == list(COLUMNS)
    np.testing.assert_allclose(places.sum(axis=0), 1)
    np.testing.assert_allclose(places.sum(axis=1), 1)
    np.testing.assert_allclose(table[["p_title", "p_top_four", "p_relegation"]].sum(), [1, 4, 3])


def test_expected_points_are_those_won_and_those_that_the_forecasts_promise(season: pd.DataFrame) -> None:
    table = simulate(season, *_forecasts(season), runs=2000).set_index("team")
    ahead = season[season["status"] != Status.PLAYED]
    arsenal = (ahead["home_team"] == "Arsenal").sum() * (3 * 0.45 + 0.27)
    arsenal += (ahead["away_team"] == "Arsenal").sum() * (3 * 0.28 + 0.27)
    row = table.loc["Arsenal"]
    assert row["expected_points"] == pytest.approx(row["points"] + arsenal, abs=0.3)
    assert row["played"] + (ahead[["home_team", "away_team"]] == "Arsenal").to_numpy().sum() == 38


def test_a_finished_season_is_its_table(premier_league: pd.DataFrame) -> None:
    over = premier_league[premier_league["season"] == "2023-24"].reset_index(drop=True)
    table = simulate(over, *_forecasts(over), runs=10)
    assert table["team"].tolist()[:3] == ["Manchester City", "Arsenal", "Liverpool"]
    assert table["points"].tolist()[:3] == [91, 89, 82]
    assert table["p_title"].tolist()[0] == 1
    assert set(table.nlargest(3, "p_relegation")["team"]) == {"Luton Town", "Burnley", "Sheffield United"}
    docked = table.set_index("team")["points"]
    assert (docked["Everton"], docked["Nottingham Forest"]) == (40, 32), "eight and four points were deducted"


def test_points_are_deducted_from_the_day_of_the_ruling(premier_league: pd.DataFrame) -> None:
    season = premier_league[premier_league["season"] == "2023-24"]
    points = {}
    for day in ("2023-11-13", "2023-11-27", "2024-02-28", "2024-05-20"):
        half = season[season["kick_off"] < day].reset_index(drop=True)
        points[day] = simulate(half, *_forecasts(half), runs=1).set_index("team").loc["Everton", "points"]
    assert list(points.values()) == [14, 4, 25, 40]


def test_the_same_seed_gives_the_same_table(season: pd.DataFrame) -> None:
    once, again = (simulate(season, *_forecasts(season), runs=200, seed=7) for _ in range(2))
    pd.testing.assert_frame_equal(once, again)


def test_a_match_without_a_forecast_is_named(season: pd.DataFrame) -> None:
    forecasts, rates = _forecasts(season)
    with pytest.raises(InvalidInputError, match="has no forecast"):
        simulate(season, forecasts.iloc[1:], rates[1:])


def test_where_head_to_head_counts_it_goes_before_goal_difference(premier_league: pd.DataFrame) -> None:
    four = premier_league.head(6).reset_index(drop=True).copy()
    four["home_team"], four["away_team"] = list("AABBCD"), list("BDCDAC")
    four["home_goals"], four["away_goals"] = [1, 1, 9, 9, 1, 1], 0  # A and B have six points, and A beat B
    none, rates = _forecasts(four)
    best = {
        competition: simulate(four, none, rates, rules_of(competition), runs=1).nlargest(1, "p_title")["team"].item()
        for competition in ("eng-premier-league", "esp-la-liga")
    }
    assert best == {"eng-premier-league": "B", "esp-la-liga": "A"}


def test_forecasts_at_mid_season_are_scored_by_how_the_season_ended(premier_league: pd.DataFrame) -> None:
    rows = season_backtest.forecast_at(premier_league[premier_league["season"] < "2018"], EPL, 2016, runs=500)
    assert len(rows) == 40
    champions = rows[rows["happened_title"] == 1].sort_values("season")["team"].tolist()
    assert champions == ["Chelsea", "Manchester City"]
    assert (rows.groupby("season")["happened_relegation"].sum() == 3).all()
    text = season_backtest.report("Premier League", rows)
    assert "relegation" in text


def test_a_forecast_at_mid_season_does_not_know_its_second_half(premier_league: pd.DataFrame) -> None:
    table = premier_league[premier_league["season"] < "2018"].reset_index(drop=True)
    last = (table["season"] == "2017-18") & (table["kick_off"] > pd.Timestamp("2018-02-01", tz="UTC"))
    turned = table.copy()
    turned.loc[last, ["home_goals", "away_goals"]] = [0.0, 9.0]
    once, again = (season_backtest.forecast_at(matches, EPL, 2017, runs=200) for matches in (table, turned))
    pd.testing.assert_frame_equal(once[["team", *season_backtest.EVENTS]], again[["team", *season_backtest.EVENTS]])
