"""Ratings as scikit-learn knows classifiers: a table of matches in, probabilities out."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils import estimator_checks

from features.errors import UnknownTeamError
from features.estimators import RatedOutcomes
from features.forecasts import probabilities, states_of
from features.matches import Status, as_known_at, outcomes
from features.matrix import GOAL_FEATURES, model_input
from features.metrics import base_rate, rps
from features.models import outcome_model
from features.rating_history import STATE_COLUMNS, compute_ratings
from features.ratings.dixon_coles import DixonColes
from features.ratings.params import ALONE
from features.splits import after_burn_in

MOMENT = datetime(2025, 8, 1, tzinfo=UTC)
BOTH = pytest.mark.parametrize("estimator", [RatedOutcomes(), DixonColes()], ids=["ratings", "Dixon-Coles"])


@pytest.fixture(scope="module")
def played(premier_league: pd.DataFrame) -> pd.DataFrame:
    return premier_league[premier_league["season"] < "2025-26"].reset_index(drop=True)


@pytest.fixture(scope="module")
def ahead(premier_league: pd.DataFrame) -> pd.DataFrame:
    return premier_league[premier_league["season"] == "2025-26"].reset_index(drop=True)


@BOTH
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
def test_what_scikit_learn_asks_of_any_estimator_holds(estimator: BaseEstimator, check: str) -> None:
    getattr(estimator_checks, check)(type(estimator).__name__, clone(estimator))


@BOTH
def test_a_season_is_forecast_better_than_by_the_base_rate(
    estimator: BaseEstimator, played: pd.DataFrame, ahead: pd.DataFrame
) -> None:
    known = ahead[~ahead[["home_team", "away_team"]].isin(["Sunderland", "Leeds United", "Burnley"]).any(axis=1)]
    model, y = clone(estimator).fit(played), outcomes(known)
    p = model.predict_proba(known)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert rps(p, y).mean() < rps(np.tile(base_rate(outcomes(played)), (len(y), 1)), y).mean()
    assert (model.predict(known) == p.argmax(axis=1)).all()
    assert model.classes_.tolist() == [0, 1, 2]


@BOTH
def test_on_neutral_ground_the_order_of_the_clubs_does_not_matter(
    estimator: BaseEstimator, played: pd.DataFrame
) -> None:
    model, there = clone(estimator).fit(played), played.tail(20).assign(neutral=True)
    back = there.rename(columns={"home_team": "away_team", "away_team": "home_team"})
    np.testing.assert_allclose(model.predict_proba(there), model.predict_proba(back)[:, ::-1], rtol=0, atol=1e-12)


def test_the_ratings_classifier_forecasts_as_the_platform_does(premier_league: pd.DataFrame) -> None:
    known = as_known_at(premier_league, MOMENT)
    fixtures = known[known["status"] == Status.SCHEDULED]
    table = known[known["status"] == Status.PLAYED].reset_index(drop=True)
    run, rows = compute_ratings(table), after_burn_in(table)
    x = model_input(run.home, run.away, np.zeros(len(table), bool))[:, : len(GOAL_FEATURES)]
    served = RatedOutcomes().fit(table)
    np.testing.assert_array_equal(
        served.head_.predict_proba(x), outcome_model().fit(x[rows], outcomes(table[rows])).predict_proba(x)
    )
    old = fixtures[fixtures[["home_team", "away_team"]].isin(run.team_states["team"].to_list()).all(axis=1)]
    home, away = (
        states_of(run.team_states, old[side], old["competition"])[list(STATE_COLUMNS)].to_numpy(float)
        for side in ("home_team", "away_team")
    )

    class Served:
        features = GOAL_FEATURES
        predict_proba = staticmethod(served.head_.predict_proba)

    expected = probabilities(Served(), home, away, np.zeros(len(old), bool))
    np.testing.assert_allclose(served.predict_proba(old), expected, rtol=0, atol=1e-12)
    with pytest.raises(UnknownTeamError):
        served.predict_proba(fixtures.head(1).assign(home_team="Nowhere"))


def test_its_parameters_reach_ratings_and_head(played: pd.DataFrame) -> None:
    few, fixtures = played.tail(1900).reset_index(drop=True), played.tail(10)
    usual = RatedOutcomes().fit(few).predict_proba(fixtures)
    other = ALONE.elo._replace(k=30)
    for changed in (
        RatedOutcomes(C=10.0),
        RatedOutcomes(blend=True),
        RatedOutcomes(features=("elo",)),
        RatedOutcomes(params=ALONE.__class__(**{**ALONE.__dict__, "elo": other})),
    ):
        assert not np.allclose(changed.fit(few).predict_proba(fixtures), usual, atol=1e-4)


def test_dixon_coles_finds_the_strengths_that_made_the_goals() -> None:
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
    found = DixonColes().fit(matches)
    order = found.clubs_.get_indexer(clubs)
    np.testing.assert_allclose(found.attack_[order] - found.attack_.mean(), strength, atol=0.08)
    np.testing.assert_allclose(found.defence_[order] - found.defence_.mean(), strength, atol=0.08)
    assert found.home_ == pytest.approx(0.25, abs=0.04)
    new = matches.head(1).assign(home_team="Nowhere United")
    assert found.log_rates(new)[0, 0] < found.log_rates(matches.head(1).assign(home_team="Club A"))[0, 0]


def test_old_matches_fade_and_those_outside_the_window_do_not_count(played: pd.DataFrame) -> None:
    recent = played[played["kick_off"] > played["kick_off"].max() - pd.Timedelta(days=300)]
    of_window, of_recent = (
        DixonColes(window_days=300).fit(played).predict_proba(played.tail(10)),
        DixonColes().fit(recent).predict_proba(played.tail(10)),
    )
    np.testing.assert_allclose(of_window, of_recent, atol=2e-3)
    slow, fast = (DixonColes(decay=decay).fit(played).predict_proba(played.tail(10)) for decay in (0.0, 0.01))
    assert not np.allclose(slow, fast, atol=0.02)
