"""Dixon-Coles as a scikit-learn classifier: a table of matches in, probabilities out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import estimator_checks

from features.matches import outcomes
from features.metrics import base_rate, rps
from features.ratings.dixon_coles import DixonColes


@pytest.fixture(scope="module")
def played(premier_league: pd.DataFrame) -> pd.DataFrame:
    return premier_league[premier_league["season"] < "2025-26"].reset_index(drop=True)


@pytest.fixture(scope="module")
def ahead(premier_league: pd.DataFrame) -> pd.DataFrame:
    return premier_league[premier_league["season"] == "2025-26"].reset_index(drop=True)


@pytest.mark.parametrize(
    "check",
    [
        "check_parameters_default_constructible",
        "check_no_attributes_set_in_init",
        "check_get_params_invariance",
        "check_set_params",
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_mixin_order",
    ],
)
def test_scikit_learn_checks_of_parameters_and_tags_pass(check: str) -> None:
    getattr(estimator_checks, check)("DixonColes", DixonColes())


def test_season_is_forecast_better_than_by_the_base_rate(played: pd.DataFrame, ahead: pd.DataFrame) -> None:
    fixtures = ahead[~ahead[["home_team", "away_team"]].isin(["Sunderland", "Leeds United", "Burnley"]).any(axis=1)]
    model, y = DixonColes().fit(played), outcomes(fixtures)
    p = model.predict_proba(fixtures)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert rps(p, y).mean() < rps(np.tile(base_rate(outcomes(played)), (len(y), 1)), y).mean()
    assert (model.predict(fixtures) == p.argmax(axis=1)).all()
    assert model.classes_.tolist() == [0, 1, 2]


def test_on_neutral_ground_the_order_of_the_clubs_is_irrelevant(played: pd.DataFrame) -> None:
    model, matches = DixonColes().fit(played), played.tail(20).assign(neutral=True)
    swapped = matches.rename(columns={"home_team": "away_team", "away_team": "home_team"})
    np.testing.assert_allclose(model.predict_proba(matches), model.predict_proba(swapped)[:, ::-1], rtol=0, atol=1e-12)


def test_fit_recovers_the_strengths_that_generated_the_goals() -> None:
    rng = np.random.default_rng(3)
    clubs = [f"Club {letter}" for letter in "ABCDEFGHIJ"]
    strength = np.linspace(0.4, -0.4, 10)
    home, away = rng.integers(0, 10, 8000), rng.integers(1, 10, 8000)
    away = (home + away) % 10
    matches = pd.DataFrame(
        {
            "kick_off": pd.Timestamp("2020-01-01", tz="UTC"),
            "home_team": np.array(clubs)[home],
            "away_team": np.array(clubs)[away],
            "neutral": False,
            "home_goals": rng.poisson(np.exp(0.1 + 0.25 + strength[home] - strength[away])),
            "away_goals": rng.poisson(np.exp(0.1 + strength[away] - strength[home])),
        }
    )
    fitted = DixonColes().fit(matches)
    order = fitted.clubs_.get_indexer(clubs)
    np.testing.assert_allclose(fitted.attack_[order] - fitted.attack_.mean(), strength, atol=0.08)
    np.testing.assert_allclose(fitted.defence_[order] - fitted.defence_.mean(), strength, atol=0.08)
    assert fitted.home_ == pytest.approx(0.25, abs=0.04)
    new = matches.head(1).assign(home_team="Nowhere United")
    assert fitted.log_rates(new)[0, 0] < fitted.log_rates(matches.head(1).assign(home_team="Club A"))[0, 0]


def test_old_matches_fade_and_those_outside_the_window_are_ignored(played: pd.DataFrame) -> None:
    recent = played[played["kick_off"] > played["kick_off"].max() - pd.Timedelta(days=300)]
    of_window, of_recent = (
        DixonColes(window_days=300).fit(played).predict_proba(played.tail(10)),
        DixonColes().fit(recent).predict_proba(played.tail(10)),
    )
    np.testing.assert_allclose(of_window, of_recent, atol=2e-3)
    slow, fast = (DixonColes(decay=decay).fit(played).predict_proba(played.tail(10)) for decay in (0.0, 0.01))
    assert not np.allclose(slow, fast, atol=0.02)
