"""The arena: every forecaster on the same matches, and a table that says what it compares."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from features import arena, backtest
from features.arena import BenchmarkSet, contest
from features.errors import InvalidInputError, LeakageError
from features.matches import ODDS, outcomes
from features.matrix import model_input
from features.metrics import base_rate, rps
from features.odds import CLOSING_ODDS
from features.recipes import BUILT_IN, Recipe
from features.splits import season_starts

pytestmark = pytest.mark.medium

RECIPES = {"multinomial_logit": BUILT_IN["multinomial_logit"]}


def entry(matches: pd.DataFrame, first: int = 2024, **others: np.ndarray) -> BenchmarkSet:
    table = matches[season_starts(matches["season"]) <= 2024].reset_index(drop=True)
    forecast = season_starts(table["season"]) >= first
    return BenchmarkSet("pl", "Premier League", table, first, forecast, others, with_dixon_coles=False)


def test_everybody_is_compared_with_the_model_on_the_same_matches(premier_league: pd.DataFrame) -> None:
    """Recipes, references and further forecasters; the base rate is that of earlier seasons."""
    own = entry(premier_league)
    uniform = np.full((len(own.matches), 3), 1 / 3)
    result = contest(entry(premier_league, uniform=uniform), RECIPES)
    table, y = result.table.set_index("forecaster"), outcomes(own.matches)
    assert list(table.index) == [
        *("model, goals", "recipe multinomial_logit", "base rate", "plain Elo (K=20)", "uniform"),
    ]
    assert (table["n"] == 380).all()
    assert table.loc["uniform", "rps"] == pytest.approx(rps(uniform, y)[own.forecast].mean())
    after_first = own.matches["season"] > own.matches["season"].min()
    rate = base_rate(y[~own.forecast & after_first])
    assert table.loc["base rate", "rps"] == pytest.approx(rps(np.tile(rate, (380, 1)), y[own.forecast]).mean())
    evaluated = backtest.evaluate(own.matches, 2024, 2024).line("model, goals", "base rate")
    assert table.loc["model, goals", "rps"] == pytest.approx(evaluated["rps"])
    assert table.loc["base rate", "difference"] == pytest.approx(evaluated["difference"])
    assert table.loc["base rate", "difference_se"] == pytest.approx(evaluated["difference_se"])


def test_leaking_recipe_stops_the_arena(premier_league: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(*arguments: Any) -> np.ndarray:
        x = model_input(*arguments)
        x[:, 0] = 1 - outcomes(entry(premier_league, 2023).matches)
        return x

    monkeypatch.setattr(arena, "model_input", leaky)
    with pytest.raises(LeakageError):
        contest(entry(premier_league, 2023), RECIPES)


def test_recipe_of_odds_is_left_out_where_there_are_none(premier_league: pd.DataFrame) -> None:
    recipe = Recipe(RECIPES["multinomial_logit"].build, ("log_home_odds", "log_away_odds"))
    result = contest(entry(premier_league), {"of_odds": recipe})
    assert result.notes == ("recipe of_odds is left out: no match has its odds",)


def test_model_of_past_odds_takes_part_where_some_are_known(premier_league: pd.DataFrame) -> None:
    """The odds of earlier seasons are enough; those that stop are no forecaster of the set."""
    priced = premier_league.copy()
    priced.loc[priced["season"] < "2024-25", list(CLOSING_ODDS)] = [2.4, 3.4, 3.1]
    names = list(contest(entry(priced), {}).table["forecaster"])
    assert names == ["model, goals", "model, market", "base rate", "plain Elo (K=20)"]


def test_recipe_that_cannot_forecast_is_one_sentence(premier_league: pd.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match=r"recipe mine cannot forecast pl: .*predict_proba"):
        contest(entry(premier_league), {"mine": Recipe(Ridge, ("elo",))})


def test_digest_names_the_matches_and_their_outcomes(premier_league: pd.DataFrame) -> None:
    before = entry(premier_league).digest()
    assert before == entry(premier_league.assign(**dict.fromkeys(ODDS, 2.0))).digest()
    changed = premier_league.copy()
    changed.loc[changed["season"] == "2024-25", ["home_goals", "away_goals"]] = [0.0, 0.0]
    assert entry(changed).digest() != before != entry(premier_league, 2023).digest()


def test_table_and_document_have_every_set_and_what_is_left_out(premier_league: pd.DataFrame) -> None:
    result = contest(entry(premier_league), RECIPES)
    skipped = {"top-five": "it needs --data"}
    text = arena.markdown([result], skipped)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1, "aligned in a terminal too"
    assert len(lines) == 2 + len(result.table)
    assert f"- pl: Premier League, 2024-25 to 2024-25, digest {result.digest}" in text
    assert "- top-five is left out: it needs --data" in text
    document = json.loads(json.dumps(arena.document([result], skipped)))
    forecasters = document["sets"][0]["forecasters"]
    assert [row["forecaster"] for row in forecasters] == list(result.table["forecaster"])
    assert forecasters[0]["difference"] is None
    assert document["skipped"] == skipped
