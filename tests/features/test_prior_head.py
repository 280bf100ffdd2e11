"""A head of few matches stays near that of the bundled league, and moves with its own matches."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.blend import RatingBlend
from features.io.sources import bundled
from features.matches import outcomes
from features.matrix import GOAL_FEATURES
from features.metrics import base_rate, rps
from features.models import PULL, fit_model, outcome_model
from features.ordinal import OrderedLogit
from features.prior_head import Prior, PriorHeads, has_ended_season
from tests.support.small_leagues import cuts, leagues, scores

X = np.random.default_rng(4).normal(size=(3000, len(GOAL_FEATURES)))


def drawn(home_advantage: float, slope: float, n: int = 3000, seed: int = 5) -> np.ndarray:
    """Outcomes (n,) of a league with this advantage, where a difference of ratings means this much."""
    luck = np.random.default_rng(seed).logistic(size=n)
    score = slope * X[:n].sum(axis=1) / 4
    return np.where(luck < score + home_advantage - 0.6, 0, np.where(luck < score + home_advantage + 0.6, 1, 2))


@pytest.fixture(scope="module")
def prior() -> RatingBlend:
    model = outcome_model().fit(X, drawn(0.4, 1.0))
    assert isinstance(model, RatingBlend)
    return model


@pytest.mark.parametrize("blend", [False, True])
def test_without_matches_the_head_is_the_prior(blend: bool) -> None:

    def build() -> RatingBlend:
        return outcome_model(features=GOAL_FEATURES, blend=blend)

    fitted = build().fit(X, drawn(0.4, 1.0))
    assert isinstance(fitted, RatingBlend)
    shrunk = fit_model(build(), X[:0], np.zeros(0, dtype=np.int64), fitted)
    np.testing.assert_allclose(shrunk.predict_proba(X[:50]), fitted.predict_proba(X[:50]), atol=1e-12)


def test_more_matches_move_the_head_further_towards_its_own_league(prior: RatingBlend) -> None:
    """A league in which the home club has no advantage and ratings mean twice as much."""
    y, truth = drawn(0.0, 2.0), outcome_model(10.0).fit(X, drawn(0.0, 2.0)).predict_proba(X)
    gaps = [
        float(np.abs(fit_model(outcome_model(), X[:n], y[:n], prior).predict_proba(X) - truth).mean())
        for n in (0, 100, 1000, 3000)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < gaps[0] / 3


def test_few_matches_forecast_better_with_the_prior(prior: RatingBlend) -> None:
    """In a league like the prior's, 45 matches alone learn far less."""
    y = drawn(0.4, 1.0, seed=6)
    shrunk, own = (fit_model(outcome_model(), X[:45], y[:45], head) for head in (prior, None))
    gain = rps(own.predict_proba(X[45:]), y[45:]) - rps(shrunk.predict_proba(X[45:]), y[45:])
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain))


def test_a_better_rating_never_lowers_a_shrunk_forecast(prior: RatingBlend) -> None:
    """Also where the few matches say the opposite."""
    shrunk = fit_model(outcome_model(), X[:200], 2 - drawn(0.4, 1.0)[:200], prior)
    assert isinstance(shrunk, RatingBlend)
    for ours, theirs in zip(shrunk.members_, prior.members_, strict=True):
        assert (ours["logit"].coef_ * np.sign(theirs["logit"].coef_) >= 0).all()


def test_outcomes_that_the_prior_does_not_know_are_refused() -> None:
    two = OrderedLogit().fit(X[:100], drawn(0.4, 1.0)[:100] // 2)
    with pytest.raises(ValueError, match=r"knows the classes \[0, 1\] only"):
        OrderedLogit().fit_towards(two, X[:3], np.array([0, 1, 2]), 0.01)


@pytest.fixture(scope="module")
def heads() -> PriorHeads:
    def build() -> RatingBlend:
        model = outcome_model(features=GOAL_FEATURES)
        assert isinstance(model, RatingBlend)
        return model

    return PriorHeads(bundled.load(), build)


@pytest.mark.parametrize(
    ("moment", "last"),
    [("2016-05-01", None), ("2016-08-01", "2015-16"), ("2020-07-01", "2018-19"), ("2026-03-13", "2024-25")],
)
def test_a_head_knows_only_seasons_that_had_ended(heads: PriorHeads, moment: str, last: str | None) -> None:
    """The season 2019-20 ended on 26 July 2020; the first season of the data is burn-in."""
    at = pd.Timestamp(moment, tz="UTC")
    prior = heads.before(at)
    assert has_ended_season(bundled.load(), at) == (prior is not None)
    if last is None:
        assert prior is None
        return
    assert isinstance(prior, Prior)
    assert prior.trained_through < at
    assert str(prior) == f"eng-premier-league 2015-16 to {last}"


@pytest.mark.shared
@pytest.mark.slow
def test_small_leagues_are_not_forecast_worse_than_by_the_base_rate(heads: PriorHeads, shared_data: Path) -> None:
    """Ten clubs cut out of real leagues: from the first round of a first season on, by at most a standard error."""
    league, shrunk = bundled.load(), f"{PULL:g}"
    general = base_rate(outcomes(league[league["season"] < "2017-18"]))
    collected: dict[tuple[int, str], list[np.ndarray]] = defaultdict(list)
    for table in leagues(shared_data / "footballdata"):
        for cut in cuts(table):
            for earlier_seasons, forecaster, values in scores(cut, heads, general, [PULL]):
                collected[earlier_seasons, forecaster].append(values)
    assert {earlier_seasons for earlier_seasons, _ in collected} == {-1, 0, 1, 2, 3, 4}
    for earlier_seasons in range(-1, 5):
        ours, base = (np.concatenate(collected[earlier_seasons, name]) for name in (shrunk, "base rate"))
        error = (ours - base).std(ddof=1) / np.sqrt(len(base))
        assert len(base) >= 80
        assert (ours - base).mean() <= error, earlier_seasons
