"""Odds and ratings together: what each is worth, where one is missing, and how a forecast is explained."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from features.errors import LeakageError
from features.explanations import explain
from features.forecasts import forecast, predict, probabilities, states_of
from features.io.registry import LoadedModel, ModelVersion
from features.matches import ODDS, OUTCOMES, as_known_at, outcomes
from features.matrix import FEATURE_GROUPS, FEATURES, ODDS_FEATURES, FeatureGroup, model_input
from features.metrics import rps
from features.models import outcome_model
from features.odds import bookmaker_log_odds, shin
from features.pool import MIN_MATCHES_WITH_ODDS, OddsPool, pool_weight, pooled
from features.rating_history import STATE_COLUMNS, RatingHistory, compute_ratings

NAMES = FEATURE_GROUPS[FeatureGroup.GOALS_AND_ODDS]
OWN = [FEATURES.index(name) for name in NAMES]
FRIDAY = datetime(2026, 3, 13, 20, tzinfo=UTC)
THROUGH = "2025-05-25T15:00:00+00:00"


def _not_promised(estimator: OddsPool) -> dict[str, str]:
    """Checks of scikit-learn that a pool with odds cannot pass, and why."""
    if estimator.odds is None:
        return {}
    return {
        "check_estimators_pickle": "only the odds may be missing, the ratings never",
        "check_fit2d_1feature": "a column of odds alone leaves none to the ratings",
    }


# One column stands for both odds, because most of the checks have no more than two columns.
@parametrize_with_checks([OddsPool(), OddsPool(odds=(0, 0))], expected_failed_checks=_not_promised)
def test_the_pool_keeps_the_contract_of_scikit_learn(
    estimator: BaseEstimator, check: Callable[[BaseEstimator], None]
) -> None:
    check(estimator)


def test_ratings_that_know_nothing_leave_the_odds_as_they_are() -> None:
    rng = np.random.default_rng(0)
    odds, noise = rng.dirichlet([5, 3, 4], 20000), rng.dirichlet([5, 3, 4], 20000)
    y = (rng.random(len(odds))[:, None] > np.cumsum(odds, axis=1)).sum(axis=1)
    assert pool_weight(odds, noise, y) < 0.01
    np.testing.assert_allclose(pooled(odds, noise, 0.0), odds)


@pytest.fixture(scope="module")
def priced(premier_league: pd.DataFrame) -> pd.DataFrame:
    """Real results with odds that favour them. Two thirds of the matches have odds, known from the day before."""
    rng = np.random.default_rng(0)
    share = 0.75 * np.array([0.45, 0.25, 0.30]) + 0.25 * np.eye(3)[outcomes(premier_league)]
    odds = 1 / (1.05 * share * rng.uniform(0.9, 1.1, share.shape))
    odds[rng.random(len(odds)) < 1 / 3] = np.nan
    known_at = (premier_league["kick_off"] - timedelta(days=1)).where(np.isfinite(odds[:, 0]))
    return premier_league.assign(**dict(zip(ODDS, odds.T, strict=True)), odds_known_at=known_at)


@pytest.fixture(scope="module")
def run(priced: pd.DataFrame) -> RatingHistory:
    return compute_ratings(priced)


@pytest.fixture(scope="module")
def x(priced: pd.DataFrame, run: RatingHistory) -> np.ndarray:
    return model_input(run.home, run.away, priced["neutral"].to_numpy(bool), bookmaker_log_odds(priced))[:, OWN]


@pytest.fixture(scope="module")
def model(priced: pd.DataFrame, x: np.ndarray) -> OddsPool:
    before = (priced["season"] < "2025-26").to_numpy()
    fitted = outcome_model(features=NAMES).fit(x[before], outcomes(priced[before]))
    assert isinstance(fitted, OddsPool)
    return fitted


def _without(x: np.ndarray) -> np.ndarray:
    bare = x.copy()
    bare[:, -len(ODDS_FEATURES) :] = np.nan
    return bare


def test_a_match_without_odds_is_forecast_by_the_ratings_alone(model: OddsPool, x: np.ndarray) -> None:
    has = np.isfinite(x).all(axis=1)
    assert 0.6 < has.mean() < 0.7
    p, bare = model.predict_proba(x), model.ratings_.predict_proba(x[:, : -len(ODDS_FEATURES)])
    np.testing.assert_array_equal(p[~has], bare[~has])
    np.testing.assert_array_equal(model.predict_proba(_without(x)), bare)
    assert (np.abs(p[has] - bare[has]).max(axis=1) > 1e-6).all()


def test_odds_that_know_more_make_better_forecasts(priced: pd.DataFrame, model: OddsPool, x: np.ndarray) -> None:
    after = (priced["season"] == "2025-26").to_numpy() & np.isfinite(x).all(axis=1)
    y = outcomes(priced)[after]
    assert rps(model.predict_proba(x[after]), y).mean() < rps(model.predict_proba(_without(x[after])), y).mean() - 0.01


@pytest.mark.parametrize("why", ["too few", "worse than the ratings"])
def test_odds_of_which_nothing_good_is_known_do_not_count(priced: pd.DataFrame, x: np.ndarray, why: str) -> None:
    turned = x.copy()
    if why == "too few":
        turned[np.flatnonzero(np.isfinite(x).all(axis=1))[MIN_MATCHES_WITH_ODDS - 1 :], -2:] = np.nan
    else:
        turned[:, -2:] = -turned[:, -2:]
    fitted = OddsPool([5, 6]).fit(turned, outcomes(priced))
    np.testing.assert_array_equal(fitted.predict_proba(turned), fitted.predict_proba(_without(turned)))
    assert "odds" not in explain(fitted, turned[-20:], NAMES)[0].contributions


def test_shorter_odds_and_better_ratings_speak_for_the_side_that_has_them(model: OddsPool, x: np.ndarray) -> None:
    rows = x[np.isfinite(x).all(axis=1)][-200:]
    p = model.predict_proba(rows)
    for column in range(len(NAMES)):
        better = rows.copy()
        better[:, column] += 0.1
        change = model.predict_proba(better) - p
        gains, loses = (2, 0) if NAMES[column] in ("log_away_goals", "log_away_odds") else (0, 2)
        assert (change[:, gains] >= -1e-12).all(), NAMES[column]
        assert (change[:, loses] <= 1e-12).all(), NAMES[column]


def test_each_forecast_is_explained_by_ratings_and_odds(model: OddsPool, x: np.ndarray) -> None:
    for explanation, row, p in zip(explain(model, x[-60:], NAMES), x[-60:], model.predict_proba(x[-60:]), strict=True):
        assert explanation.baseline_log_odds + sum(explanation.contributions.values()) == pytest.approx(
            np.log(p[0] / p[2]), abs=1e-9
        )
        assert explanation.log_odds == pytest.approx(np.log(p[0] / p[2]), abs=1e-9)
        assert list(explanation.contributions) == ["elo", "pi", "goals", *(["odds"] if np.isfinite(row).all() else [])]


def test_on_neutral_ground_it_makes_no_difference_who_is_named_first(
    model: OddsPool, priced: pd.DataFrame, run: RatingHistory
) -> None:
    loaded, neutral = LoadedModel(ModelVersion(1, "run", FRIDAY), model, NAMES), np.ones(60, bool)
    odds = bookmaker_log_odds(priced)[-60:]
    direct = predict(loaded, model_input(run.home[-60:], run.away[-60:], neutral, odds), neutral)
    mirrored = predict(loaded, model_input(run.away[-60:], run.home[-60:], neutral, odds[:, ::-1]), neutral)
    np.testing.assert_allclose(direct, mirrored[:, ::-1], atol=1e-12)


def test_no_odds_are_used_that_became_known_later(priced: pd.DataFrame) -> None:
    rows = priced[np.isfinite(priced["odds_home"])].tail(3).reset_index(drop=True)
    kick_off = rows["kick_off"].min()
    rows = rows.assign(kick_off=kick_off, odds_known_at=[kick_off - timedelta(days=2), kick_off, pd.NaT])
    assert np.isfinite(bookmaker_log_odds(rows)).all(axis=1).tolist() == [True, True, False], "to learn from"
    eve = (kick_off - timedelta(days=1)).to_pydatetime()
    assert np.isfinite(bookmaker_log_odds(rows, eve)).all(axis=1).tolist() == [True, False, False]
    late = rows.assign(odds_known_at=kick_off + timedelta(minutes=1))
    assert np.isnan(bookmaker_log_odds(late)).all()
    assert np.isnan(bookmaker_log_odds(late, (kick_off + timedelta(days=1)).to_pydatetime())).all()


def test_what_the_odds_say_is_their_probabilities() -> None:
    odds, kick_off = np.array([[1.9, 3.5, 4.2]]), pd.Timestamp("2026-01-01", tz="UTC")
    table = pd.DataFrame(odds, columns=list(ODDS)).assign(kick_off=kick_off, odds_known_at=kick_off)
    shares = np.exp(np.insert(bookmaker_log_odds(table), 1, 0.0, axis=1))
    np.testing.assert_allclose(shares / shares.sum(), shin(odds), atol=1e-12)


def test_published_forecasts_name_their_odds_and_equal_those_made_online(model: OddsPool, priced: pd.DataFrame) -> None:
    table = as_known_at(priced, FRIDAY)
    ahead = table[table["kick_off"] > FRIDAY].reset_index(drop=True)
    states = compute_ratings(table).team_states
    version = ModelVersion(1, "run", FRIDAY, {"trained_through": THROUGH})
    made = forecast(LoadedModel(version, model, NAMES), ahead, states, 1, version.trained_through, FRIDAY)
    used = made["odds_home"].notna().to_numpy()
    assert 0 < used.sum() < len(made), "those of Saturday are known, those of later days are not"
    assert (made.loc[used, "odds_known_at"] <= FRIDAY).all()
    pd.testing.assert_frame_equal(made.loc[used, list(ODDS)], ahead.loc[used, list(ODDS)])
    assert (made["features_as_of"] < made["kick_off"]).all()
    assert (made.loc[used, "features_as_of"] >= made.loc[used, "odds_known_at"]).all()
    home, away = (
        states_of(states, ahead[side], ahead["competition"])[list(STATE_COLUMNS)].to_numpy(float)
        for side in ("home_team", "away_team")
    )
    online = probabilities(
        LoadedModel(version, model, NAMES), home, away, np.zeros(len(ahead), bool), bookmaker_log_odds(ahead, FRIDAY)
    )
    np.testing.assert_allclose(made[list(OUTCOMES)], online, rtol=0, atol=1e-9)
    shares = [{share["rating"] for share in shares_of_match} for shares_of_match in made["shares"]]
    assert [("odds" in ratings) for ratings in shares] == used.tolist()


def test_a_model_of_ratings_publishes_no_odds(model: OddsPool, priced: pd.DataFrame) -> None:
    table = as_known_at(priced, FRIDAY)
    ahead, names = table[table["kick_off"] > FRIDAY].head(5), NAMES[: -len(ODDS_FEATURES)]
    version = ModelVersion(1, "run", FRIDAY, {"trained_through": THROUGH})
    loaded = LoadedModel(version, model.ratings_, names)
    made = forecast(loaded, ahead, compute_ratings(table).team_states, 1, version.trained_through, FRIDAY)
    assert made[[*ODDS, "odds_known_at"]].isna().all(axis=None)


def test_forecasts_made_from_the_future_are_refused_with_odds_too(model: OddsPool, priced: pd.DataFrame) -> None:
    version = ModelVersion(1, "run", FRIDAY, {"trained_through": THROUGH})
    states = compute_ratings(priced).team_states
    with pytest.raises(LeakageError):
        forecast(LoadedModel(version, model, NAMES), priced.tail(5), states, 1, version.trained_through, FRIDAY)
