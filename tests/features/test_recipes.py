"""Recipes: what they must name, and how the examples behave."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from features.boosting import OrdinalBoosting
from features.dixon_coles_outcome import DixonColesOutcome
from features.errors import InvalidInputError
from features.forecasts import predict
from features.matches import outcomes
from features.matrix import FEATURES, GOAL_FEATURES, model_input
from features.metrics import base_rate, rps
from features.models import TRUSTED_TYPES, outcome_model
from features.rating_history import compute_ratings
from features.recipes import BUILT_IN, Recipe
from features.scorelines import outcome_probabilities, score_grid


@pytest.fixture(scope="module")
def table(premier_league: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Model input, outcomes and whether the match is before 2023/24."""
    run = compute_ratings(premier_league)
    x = model_input(run.home, run.away, premier_league["neutral"].to_numpy(bool))
    return x, outcomes(premier_league), (premier_league["season"] < "2023-24").to_numpy()


def columns_of(recipe: Recipe) -> list[int]:
    return [FEATURES.index(name) for name in recipe.columns]


@pytest.mark.medium
@parametrize_with_checks([OrdinalBoosting(max_iter=5, min_samples_leaf=5)])
def test_boosting_keeps_the_contract_of_scikit_learn(
    estimator: BaseEstimator, check: Callable[[BaseEstimator], None]
) -> None:
    check(estimator)


@pytest.mark.parametrize("name", BUILT_IN)
def test_example_beats_base_rate_and_loses_to_our_model(
    name: str, table: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    """Seasons 2023/24 to 2025/26 by a model of the seasons before; what skops stores forecasts the same."""
    x, y, train = table
    recipe = BUILT_IN[name]
    columns = columns_of(recipe)
    model = recipe.build().fit(x[train][:, columns], y[train])
    recipe.check_fitted(model, x[:, columns])
    p = model.predict_proba(x[~train][:, columns])
    goals = x[:, [FEATURES.index(column) for column in GOAL_FEATURES]]
    ours = outcome_model().fit(goals[train], y[train]).predict_proba(goals[~train])
    scores = [rps(q, y[~train]).mean() for q in (ours, p, np.tile(base_rate(y[train]), (len(p), 1)))]
    assert scores == sorted(scores)
    again = skops.io.loads(skops.io.dumps(model), trusted=list(recipe.all_trusted_types()))
    np.testing.assert_array_equal(again.predict_proba(x[:5, columns]), model.predict_proba(x[:5, columns]))


def test_boosting_moves_with_each_rating_in_its_direction(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    x, y, train = table
    recipe = BUILT_IN["gradient_boosting"]
    x = x[:, columns_of(recipe)]
    model = recipe.build().fit(x[train], y[train])
    before = model.predict_proba(x[-100:])
    for column, direction in enumerate(model.directions):
        raised = x[-100:].copy()
        raised[:, column] += 0.3 * direction
        after = model.predict_proba(raised)
        assert (after[:, 0] >= before[:, 0] - 1e-12).all()
        assert (after[:, 2] <= before[:, 2] + 1e-12).all()


def test_dixon_coles_finds_the_correction_that_made_the_data() -> None:
    """Its probabilities are those of the score grid, and 20,000 drawn outcomes give the correction back."""
    rng = np.random.default_rng(3)
    log_rates = rng.normal([0.4, 0.2], 0.4, size=(20000, 2)).clip(max=np.log(5))
    p = outcome_probabilities(score_grid(np.exp(log_rates), rho=-0.15))
    y = (rng.random(len(p))[:, None] > p.cumsum(axis=1)[:, :2]).sum(axis=1)
    model = DixonColesOutcome().fit(log_rates, y)
    assert model.rho_ == pytest.approx(-0.15, abs=0.08)
    assert model.slope_ == pytest.approx(1, abs=0.1)
    model.levels_, model.slope_, model.rho_ = np.zeros(2), 1.0, -0.15
    np.testing.assert_allclose(model.predict_proba(log_rates), p, atol=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [(np.zeros((3, 5)), [0, 1, 2], "got 5 columns"), (np.zeros((3, 2)), [0, 1, 1], r"y has \[0, 1\]")],
)
def test_dixon_coles_refuses_what_it_cannot_fit(x: np.ndarray, y: list[int], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        DixonColesOutcome().fit(x, y)


@pytest.mark.parametrize("columns", [(), ("elo", "elo"), ("elo", "closing_odds")])
def test_recipe_of_unknown_or_repeated_columns_is_refused(columns: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match="columns"):
        Recipe(LogisticRegression, columns)


@pytest.mark.parametrize(
    ("estimator", "columns", "expected"),
    [
        (DummyClassifier(), ("elo",), "three probabilities per match"),
        (Ridge(), ("elo",), "cannot predict: AttributeError"),
        (LogisticRegression(), ("log_home_odds", "log_away_odds"), "cannot predict: .*NaN"),
    ],
)
def test_model_that_cannot_forecast_is_refused(
    estimator: BaseEstimator, columns: tuple[str, ...], expected: str
) -> None:
    """Two classes, no probabilities, and odds that must not be missing."""
    x, y = np.random.default_rng(0).normal(size=(60, len(columns))), np.arange(60) % (2 if len(columns) == 1 else 3)
    with pytest.raises(InvalidInputError, match=expected):
        Recipe(lambda: estimator, columns).check_fitted(estimator.fit(x, y), x)


def test_revision_changes_with_the_model_and_trusts_its_class() -> None:
    recipe = BUILT_IN["dixon_coles"]
    assert recipe.revision() == recipe.revision() != BUILT_IN["gradient_boosting"].revision()
    assert recipe.all_trusted_types() == ("features.dixon_coles_outcome.DixonColesOutcome",)
    assert not set(recipe.all_trusted_types()) & set(TRUSTED_TYPES)


def test_opposite_certainties_on_neutral_ground_are_still_probabilities() -> None:
    """A model that excludes an outcome in one order of the clubs, and the others in the other order."""

    class Certain:
        features = ("elo",)

        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            return np.tile([1.0, 0.0, 0.0], (len(x), 1))

    p = predict(Certain(), np.zeros((1, len(FEATURES))), np.array([True]))
    assert p.sum() == pytest.approx(1)
    assert np.isfinite(p).all()
