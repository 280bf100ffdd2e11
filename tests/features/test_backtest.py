"""The back-test: its figures, its targets, and what it compares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from features import backtest
from features.backtest import Forecasts, Target, evaluate, report, verdicts
from features.io.backtest_cli import read
from features.matches import ODDS, outcomes
from features.metrics import rps


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread, as the command does: the problems are so small that threads would mostly wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.mark.slow
def test_the_premier_league_is_forecast_as_well_as_was_asked_for(premier_league: pd.DataFrame) -> None:
    forecasts = evaluate(premier_league, 2021, 2025)
    model = forecasts.line("model, goals", "base rate")
    assert model["n"] == 1900
    assert round(float(model["rps"]), 4) <= 0.2005
    assert round(float(model["log_loss"]), 4) <= 0.9765
    assert float(model["ece"]) <= 0.026
    assert verdicts(forecasts, backtest.PREMIER_LEAGUE).count("met") == 3
    text = report("Premier League", forecasts, "model, goals")
    for name in ("model, goals", "base rate", "plain Elo (K=20)", "Dixon-Coles"):
        assert name in text
    strong = forecasts.line("Dixon-Coles", "base rate")
    assert float(strong["rps"]) < 0.2025, "a comparison with a weak baseline proves nothing"


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(900)
def test_the_top_five_leagues_are_forecast_as_well_as_was_asked_for(shared_data: Path) -> None:
    forecasts = evaluate(read(shared_data / "footballdata"), 2019, 2023)
    scores = {name: forecasts.line(name, "base rate") for name in forecasts.probabilities}
    assert scores["model, goals"]["n"] == 8955
    assert round(float(scores["model, goals"]["rps"]), 4) <= 0.2010
    assert round(float(scores["model, shots"]["rps"]), 4) <= 0.2000
    assert round(float(scores["model, shots"]["log_loss"]), 4) <= 0.985
    assert round(float(scores["model, market"]["rps"]), 4) <= 0.1980
    assert round(float(scores["model, market"]["log_loss"]), 4) <= 0.979
    assert round(float(scores["model, odds"]["rps"]), 4) <= 0.1963, "as good as the odds"
    assert round(float(scores["Dixon-Coles"]["rps"]), 4) <= 0.2012, "both tiers of each country fitted together"
    assert verdicts(forecasts, backtest.TOP_FIVE).count(", met") == 3, "both of past odds, and that of odds"


def test_all_forecasters_are_compared_on_the_same_matches(premier_league: pd.DataFrame) -> None:
    priced = premier_league.assign(
        odds_home=2.2, odds_draw=3.6, odds_away=np.where(premier_league["kick_off"] < "2026-01-01", 3.3, np.nan)
    )
    forecasts = evaluate(priced, 2025, 2025)
    assert len(forecasts.matches) == 380
    model, base = (
        rps(forecasts.probabilities[name], forecasts.outcomes).mean() for name in ("model, goals", "base rate")
    )
    assert model < base
    priced_matches = int((forecasts.matches["kick_off"] < "2026-01-01").sum())
    line = forecasts.line("odds before the match", "model, goals")
    assert line["n"] == priced_matches < 380
    mine = rps(forecasts.probabilities["model, goals"], forecasts.outcomes)[:priced_matches].mean()
    assert float(line["rps"]) - float(line["difference"]) == pytest.approx(mine)


def test_a_verdict_tells_what_was_reached_and_by_how_much_it_was_missed(premier_league: pd.DataFrame) -> None:
    season = premier_league.tail(380).reset_index(drop=True)
    p = np.tile([0.44, 0.26, 0.30], (380, 1))
    forecasts = Forecasts(season, outcomes(season), {"model, goals": p})
    reached = round(float(rps(p, forecasts.outcomes).mean()), 4)
    target = Target("model, goals", "rps", reached)
    assert verdicts(forecasts, [target]) == f"target RPS of 'model, goals' <= {reached:.4f}: {reached:.4f}, met"
    assert verdicts(forecasts, [replace(target, limit=reached - 0.0001)]).endswith("missed by 0.0001")


def test_a_limit_may_be_the_score_of_another_forecaster_on_the_same_matches(premier_league: pd.DataFrame) -> None:
    season = premier_league.tail(380).reset_index(drop=True)
    p, odds = np.tile([0.44, 0.26, 0.30], (380, 1)), np.tile([0.5, 0.25, 0.25], (380, 1))
    odds[100:] = np.nan
    forecasts = Forecasts(season, outcomes(season), {"model, odds": p, backtest.BEFORE: odds})
    mine, theirs = (round(float(rps(rows[:100], forecasts.outcomes[:100]).mean()), 4) for rows in (p, odds))
    target = Target("model, odds", "rps", round(mine - theirs, 4), above=backtest.BEFORE)
    assert verdicts(forecasts, [target]).endswith(f"<= {mine:.4f}: {mine:.4f}, met")
    assert verdicts(forecasts, [replace(target, limit=target.limit - 0.0002)]).endswith("missed by 0.0002")
    bare = Forecasts(season, outcomes(season), {"model, odds": p})
    expected = f"<= that of '{backtest.BEFORE}' + {target.limit:.4f}: not measured, the data has no such forecasts"
    assert verdicts(bare, [target]).endswith(expected)


def test_past_odds_are_a_forecaster_of_their_own(premier_league: pd.DataFrame) -> None:
    """It needs no odds of the matches that it forecasts."""
    season, rng = premier_league["season"], np.random.default_rng(0)
    played = premier_league[season >= "2021-22"].reset_index(drop=True)
    points = np.array([[0.5, 0.26, 0.24], [0.38, 0.3, 0.32], [0.28, 0.26, 0.46]])[outcomes(played)]
    priced = played.assign(odds_home=1 / points[:, 0], odds_draw=1 / points[:, 1], odds_away=1 / points[:, 2])
    last = (priced["season"] == "2025-26") & (rng.random(len(priced)) < 0.5)
    priced.loc[last, list(ODDS)] = np.nan
    forecasts = evaluate(priced, 2025, 2025)
    market, goals = (forecasts.probabilities[name] for name in ("model, market", "model, goals"))
    assert np.isfinite(market).all()
    assert (market != goals).any(axis=1).mean() > 0.5
    assert "model, market" not in evaluate(played, 2025, 2025).probabilities


def test_a_model_of_first_tiers_a_pooled_one_and_one_for_each_forecast_all_tiers(premier_league: pd.DataFrame) -> None:
    early = premier_league[premier_league["season"] < "2018"].reset_index(drop=True)
    clubs = sorted(set(early["home_team"]))
    below = early["home_team"].isin(clubs[::2])
    early = early[below == early["away_team"].isin(clubs[::2])]
    tiers = early.assign(competition=np.where(below[early.index], "eng-championship", "eng-premier-league"))
    forecasts = backtest.pools(tiers.reset_index(drop=True), 2017)
    last_season = (forecasts.matches["season"] == "2017-18").to_numpy()
    for name, p in forecasts.probabilities.items():
        assert np.isfinite(p[last_season]).all(), name
    without_pool, pool_of_first_tier, pool_of_each_tier = (
        forecasts.probabilities[name][last_season] for name in forecasts.probabilities
    )
    assert not np.allclose(without_pool, pool_of_first_tier)
    assert not np.allclose(without_pool, pool_of_each_tier)
    top = (forecasts.matches["competition"] == "eng-premier-league").to_numpy()[last_season]
    np.testing.assert_allclose(pool_of_first_tier[top], pool_of_each_tier[top])
