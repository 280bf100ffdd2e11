"""How the trained model behaves: invariance, direction, and the least it must be able to do."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from features.blend import RatingBlend
from features.errors import InvalidInputError
from features.explanations import explain
from features.forecasts import forecast
from features.io.registry import LoadedModel, ModelVersion
from features.matches import outcomes
from features.matrix import GOAL_FEATURES, log_rates, model_input
from features.metrics import base_rate
from features.models import outcome_model
from features.odds import shin
from features.ordinal import OrderedLogit
from features.rating_history import RatingHistory, compute_ratings
from features.ratings.params import SINGLE_TIER
from features.ratings.rating_state import ATTACK, DEFENCE, ELO, PI_AWAY, PI_HOME, PLAYED
from features.scorelines import outcome_probabilities, scorelines

THEN = datetime(2020, 1, 1, tzinfo=UTC)
GOALS = slice(0, len(GOAL_FEATURES))


@pytest.fixture(scope="module")
def run(premier_league: pd.DataFrame) -> RatingHistory:
    return compute_ratings(premier_league)


@pytest.fixture(scope="module")
def model(premier_league: pd.DataFrame, run: RatingHistory) -> RatingBlend:
    x = model_input(run.home, run.away, premier_league["neutral"].to_numpy(bool))[:, GOALS]
    before = (premier_league["season"] < "2025-26").to_numpy()
    return outcome_model(features=GOAL_FEATURES).fit(x[before], outcomes(premier_league[before]))


def _p(model: RatingBlend, home: np.ndarray, away: np.ndarray, neutral: bool = False) -> np.ndarray:
    return model.predict_proba(model_input(home, away, np.full(len(home), neutral))[:, GOALS])


@pytest.mark.parametrize("column", [ELO, PI_HOME, PI_AWAY, ATTACK, DEFENCE])
def test_a_better_home_side_never_lowers_the_home_probability(
    model: RatingBlend, run: RatingHistory, column: int
) -> None:
    better = run.home[-380:].copy()
    better[:, column] += 50 if column == ELO else 0.1
    assert (_p(model, better, run.away[-380:])[:, 0] >= _p(model, run.home[-380:], run.away[-380:])[:, 0] - 1e-12).all()


@pytest.mark.parametrize("column", [ELO, PI_HOME, PI_AWAY, ATTACK, DEFENCE])
def test_a_better_away_side_never_lowers_the_away_probability(
    model: RatingBlend, run: RatingHistory, column: int
) -> None:
    better = run.away[-380:].copy()
    better[:, column] += 50 if column == ELO else 0.1
    assert (_p(model, run.home[-380:], better)[:, 2] >= _p(model, run.home[-380:], run.away[-380:])[:, 2] - 1e-12).all()


def test_neutral_ground_takes_from_the_home_side(model: RatingBlend, run: RatingHistory) -> None:
    at_home, neutral = (_p(model, run.home[-380:], run.away[-380:], ground) for ground in (False, True))
    assert (neutral[:, 0] < at_home[:, 0]).all()


def test_clubs_names_and_what_is_no_rating_do_not_matter(
    premier_league: pd.DataFrame, model: RatingBlend, run: RatingHistory
) -> None:
    renamed = premier_league.assign(
        home_team="The " + premier_league["home_team"], away_team="The " + premier_league["away_team"]
    )
    again = compute_ratings(renamed)
    np.testing.assert_array_equal(again.home, run.home)
    longer_played = run.home[-5:].copy()
    longer_played[:, PLAYED] += 100
    np.testing.assert_array_equal(_p(model, longer_played, run.away[-5:]), _p(model, run.home[-5:], run.away[-5:]))


def test_the_champion_at_home_to_the_last_is_a_clear_favourite(model: RatingBlend, run: RatingHistory) -> None:
    states = run.team_states.sort_values("elo")
    columns = states.columns[4:]
    best, worst = (states[columns].to_numpy(float)[[row]] for row in (-1, 0))
    assert _p(model, best, worst)[0, 0] > 0.65
    assert _p(model, worst, best)[0, 2] > 0.5


def test_clubs_without_any_history_get_a_wide_forecast_near_the_base_rate(premier_league: pd.DataFrame, model) -> None:
    other = premier_league.tail(10).assign(competition="atl-island-league", status="scheduled")
    fresh = compute_ratings(other.drop_duplicates("home_team"))
    p = _p(model, fresh.home, fresh.away)
    np.testing.assert_allclose(p, np.tile(base_rate(outcomes(premier_league)), (len(p), 1)), atol=0.08)
    assert (fresh.team_states["played"] == 0).all(), "the state tells that it rests on no match"
    named = LoadedModel(ModelVersion(1, "run", THEN, {}), model, GOAL_FEATURES)
    rows = forecast(named, other.drop_duplicates("home_team"), fresh.team_states, 1, THEN, THEN)
    assert (rows["features_as_of"] == THEN).all(), "no result went in, so the end of training dates the features"
    assert rows["home"].max() < 0.6
    assert (rows["home_matches"] == 0).all()


def test_scorelines_agree_with_the_forecast_and_with_common_sense(model: RatingBlend, run: RatingHistory) -> None:
    home, away = run.home[-380:], run.away[-380:]
    p = _p(model, home, away)
    grids = scorelines(p, np.column_stack(log_rates(home, away, np.ones(len(home)))))
    np.testing.assert_allclose(outcome_probabilities(grids.grid), p, atol=1e-12)
    assert grids.expected_goals.mean(axis=0) == pytest.approx([1.6, 1.35], abs=0.25)
    likely = grids.most_likely(0)
    assert [score[2] for score in likely] == sorted((score[2] for score in likely), reverse=True)
    assert all(max(score[:2]) <= 4 for score in likely)


def test_each_forecast_of_a_blend_can_be_explained_too(premier_league: pd.DataFrame, run: RatingHistory) -> None:
    x = model_input(run.home, run.away, premier_league["neutral"].to_numpy(bool))[:, GOALS]
    blend = outcome_model(features=GOAL_FEATURES, blend=True).fit(x, outcomes(premier_league))
    assert len(blend.members_) == 3
    for explanation, p in zip(explain(blend, x[-20:], GOAL_FEATURES), blend.predict_proba(x[-20:]), strict=True):
        assert explanation.baseline_log_odds + sum(explanation.contributions.values()) == pytest.approx(
            np.log(p[0] / p[2]), abs=1e-9
        )
        assert list(explanation.contributions) == ["elo", "pi", "goals"]


def test_each_forecast_can_be_explained_by_its_rating_systems(model: RatingBlend, run: RatingHistory) -> None:
    x = model_input(run.home[-20:], run.away[-20:], np.zeros(20, bool))[:, GOALS]
    for explanation, p in zip(explain(model, x, GOAL_FEATURES), model.predict_proba(x), strict=True):
        assert explanation.baseline_log_odds + sum(explanation.contributions.values()) == pytest.approx(
            np.log(p[0] / p[2]), abs=1e-9
        )
        assert list(explanation.contributions) == ["elo", "pi", "goals"]
    better = x.copy()
    better[:, 0] += 0.25
    before, after = (explain(model, rows, GOAL_FEATURES) for rows in (x, better))
    assert all(new.contributions["elo"] > old.contributions["elo"] for old, new in zip(before, after, strict=True))


def test_shin_takes_the_margin_more_from_outsiders() -> None:
    odds = np.array([[1.33, 5.5, 8.0], [2.0, 4.0, 4.0], [np.nan, 3.0, 3.0], [5.0, 5.0, 5.0]])
    p = shin(odds)
    normalised = (1 / odds[0]) / (1 / odds[0]).sum()
    assert p[0, 0] > normalised[0]
    assert p[0, 2] < normalised[2]
    np.testing.assert_allclose(p[1], [0.5, 0.25, 0.25], atol=1e-9)
    assert np.isnan(p[2]).all(), "missing odds"
    assert np.isnan(p[3]).all(), "odds whose probabilities sum to less than one are invalid"


def test_other_parameters_give_other_ratings_and_are_not_mixed_up(
    premier_league: pd.DataFrame, run: RatingHistory
) -> None:
    other = compute_ratings(premier_league, replace(SINGLE_TIER, elo=SINGLE_TIER.elo._replace(k=20)))
    assert not np.allclose(other.home[:, ELO], run.home[:, ELO])
    np.testing.assert_array_equal(other.home[:, ATTACK], run.home[:, ATTACK])


@pytest.mark.parametrize("regularisation", [-1.0, 0.0, float("nan"), float("inf")])
def test_regularisation_must_be_above_zero(regularisation: float) -> None:
    """A negative penalty would reward large coefficients, and the fit would still end."""
    with pytest.raises(InvalidInputError, match="must be a finite number above 0"):
        outcome_model(regularisation)
    with pytest.raises(ValueError, match="finite C above 0"):
        OrderedLogit(regularisation).fit([[0.0], [1.0], [2.0]], [0, 1, 2])
