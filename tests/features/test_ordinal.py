"""Our estimators keep scikit-learn's contract and recover what they should."""

from collections.abc import Callable

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from features.blend import RatingBlend
from features.explanations import explain
from features.matrix import FEATURE_GROUPS, GOAL_FEATURES, FeatureGroup
from features.models import TRUSTED_TYPES, groups_of, outcome_model
from features.ordinal import OrderedLogit


@parametrize_with_checks([OrderedLogit(), OrderedLogit(own_direction=True), RatingBlend()])
def test_estimators_keep_the_contract_of_scikit_learn(
    estimator: BaseEstimator, check: Callable[[BaseEstimator], None]
) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray]:
    """Outcomes drawn from an ordered logit with the coefficients 1 and -0.5 and the thresholds -0.2 and 1."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20000, 2))
    u = rng.logistic(size=len(x))
    score = x @ [1.0, -0.5]
    y = np.where(u < -0.2 + score, 0, np.where(u < 1.0 + score, 1, 2))
    return x, y


def test_the_ordered_logit_finds_the_coefficients_that_made_the_data(sample: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = OrderedLogit(C=1e6).fit(*sample)
    np.testing.assert_allclose(fitted.coef_, [1.0, -0.5], atol=0.05)
    np.testing.assert_allclose(fitted.thresholds_, [-0.2, 1.0], atol=0.05)


def test_a_higher_score_never_lowers_the_home_probability(sample: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = OrderedLogit().fit(*sample)
    grid = np.column_stack([np.linspace(-5, 5, 101), np.zeros(101)])
    p = fitted.predict_proba(grid)
    assert (np.diff(p[:, 0]) > 0).all()
    assert (np.diff(p[:, 2]) < 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_ratings_that_are_alike_are_not_played_off_against_each_other(sample: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = sample
    alike = np.column_stack([x[:, 0] + 0.3 * x[:, 1], x[:, 0] + 0.1 * x[:, 1]])
    free, held = (OrderedLogit(own_direction=held).fit(alike, y) for held in (False, True))
    assert free.coef_[0] < 0, "the free fit gives it the wrong sign: alone, it speaks for home"
    assert (held.coef_ >= 0).all()


def test_fitting_twice_gives_the_same_bits(sample: tuple[np.ndarray, np.ndarray]) -> None:
    once, again = (outcome_model().fit(*sample).predict_proba(sample[0]) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_a_blend_of_one_member_is_that_member(sample: tuple[np.ndarray, np.ndarray]) -> None:
    blend = RatingBlend(C=0.1).fit(*sample)
    np.testing.assert_allclose(blend.predict_proba(sample[0]), blend.members_[0].predict_proba(sample[0]), atol=1e-12)


def test_every_rating_system_becomes_a_member_of_a_blend() -> None:
    assert groups_of(GOAL_FEATURES) == [[0], [1, 2], [3, 4]]
    assert groups_of(FEATURE_GROUPS[FeatureGroup.SHOTS]) == [[0], [1, 2], [3, 4], [5, 6], [7, 8]]
    assert groups_of(("pi", "something else", "elo")) == [[2], [0], [1]]


def test_shares_sum_to_the_log_odds_of_the_forecast(sample: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = sample
    model = RatingBlend(groups=[[0], [1]]).fit(x, y)
    p = model.predict_proba(x[:50])
    for explanation, row in zip(explain(model, x[:50], ["form", "ground"]), p, strict=True):
        assert explanation.log_odds == pytest.approx(np.log(row[0] / row[2]))
        assert explanation.baseline_log_odds + sum(explanation.contributions.values()) == pytest.approx(
            explanation.log_odds
        )
        assert set(explanation.contributions) == {"form", "ground"}


def test_a_model_survives_skops_with_only_our_types_trusted(sample: tuple[np.ndarray, np.ndarray]) -> None:
    model = outcome_model(features=["elo", "pi"]).fit(*sample)
    stored = skops.io.dumps(model)
    assert set(skops.io.get_untrusted_types(data=stored)) <= set(TRUSTED_TYPES)
    again = skops.io.loads(stored, trusted=list(TRUSTED_TYPES))
    np.testing.assert_array_equal(again.predict_proba(sample[0]), model.predict_proba(sample[0]))
