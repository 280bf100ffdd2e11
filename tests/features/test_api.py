"""The public Python API: what a notebook gets, and what it is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from features import api
from features.errors import InvalidInputError, LeakageError, NotPublishedError
from features.io import submissions
from features.io.settings import Settings
from features.io.sources.bundled import REPLAY_AS_OF
from features.io.store import Lake
from features.matches import RESULT_DELAY, Status, outcomes
from features.matrix import FEATURES, feature_frame
from features.metrics import rps
from features.models import outcome_model
from features.rating_history import compute_ratings

AS_OF = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def matches(settings: Settings) -> pd.DataFrame:
    return api.load_matches(settings=settings)


def logit(penalty: float = 0.01) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=penalty))


class Own(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier of an engineer's own."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Own:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.full((len(x), 3), 1 / 3)


class Broken(Own):
    """A classifier that cannot be fitted."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Broken:
        raise RuntimeError("out of luck")


def test_matches_are_those_known_at_the_clock(matches: pd.DataFrame) -> None:
    played = matches[matches["status"] == Status.PLAYED]
    assert len(matches) == 4560
    assert played["kick_off"].max() + RESULT_DELAY <= REPLAY_AS_OF
    assert matches.loc[matches["kick_off"] > REPLAY_AS_OF, "home_goals"].isna().all()
    assert (matches["status"] == Status.SCHEDULED).sum() > 50


def test_features_are_those_of_the_pipeline(matches: pd.DataFrame) -> None:
    history = compute_ratings(matches)
    pipeline = feature_frame(matches, history.home, history.away)
    pd.testing.assert_frame_equal(api.features_for(matches, REPLAY_AS_OF)[pipeline.columns[:-2]], pipeline.iloc[:, :-2])


def test_no_result_after_the_given_time_moves_a_feature(matches: pd.DataFrame) -> None:
    """Neither those of later matches nor, for a match in the past, that of the match itself."""
    changed = matches.copy()
    later = changed["kick_off"] + RESULT_DELAY > AS_OF
    changed.loc[later & changed["home_goals"].notna(), ["home_goals", "away_goals"]] = [9.0, 0.0]
    assert later.sum() > 100
    before = api.features_for(matches, AS_OF)
    pd.testing.assert_frame_equal(api.features_for(changed, AS_OF), before)
    (at,) = np.flatnonzero(matches["match_id"] == "eng-premier-league-2023-24-arsenal-chelsea")
    changed.loc[at, ["home_goals", "away_goals"]] = [0.0, 9.0]
    day = matches["kick_off"].dt.floor("D")
    now, known = api.features_for(changed, AS_OF), day <= day[at]
    pd.testing.assert_frame_equal(now[known], before[known])
    assert not now[~known][list(FEATURES)].equals(before[~known][list(FEATURES)])


def test_time_without_zone_is_refused(matches: pd.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match="no timezone"):
        api.features_for(matches, datetime(2025, 1, 1))  # noqa: DTZ001


@pytest.mark.medium
def test_backtest_scores_are_those_of_its_forecasts(matches: pd.DataFrame) -> None:
    """The means, their standard errors, and the paired differences."""
    judged = api.backtest(logit(), matches, first_season=2023, last_season=2024)
    table, y = judged.table.set_index("forecaster"), judged.forecasts["outcome"].to_numpy()
    assert set(judged.forecasts["season"]) == {"2023-24", "2024-25"}
    scores = rps(judged.forecasts[["home", "draw", "away"]].to_numpy(), y)
    assert list(table.index) == ["estimator", "platform's model", "plain Elo (K=20)", "base rate"], "no odds here"
    assert (table["n"] == 760).all()
    assert table.loc["estimator", "rps"] == pytest.approx(scores.mean())
    assert table.loc["estimator", "rps_se"] == pytest.approx(scores.std(ddof=1) / np.sqrt(760))
    difference = table.loc["estimator", "rps"] - table["rps"]
    np.testing.assert_allclose(table["difference"].iloc[1:], difference.iloc[1:])
    rows = table.to_dict("index")
    assert rows["base rate"]["difference"] < -3 * rows["base rate"]["difference_se"] < 0
    assert abs(rows["platform's model"]["difference"]) < 0.005
    assert "| estimator" in str(judged)


@pytest.mark.medium
def test_platform_s_model_does_not_differ_from_itself(matches: pd.DataFrame) -> None:
    table = api.backtest(outcome_model(), matches, first_season=2024, last_season=2024).table.set_index("forecaster")
    assert table.loc["platform's model", "difference"] == 0
    assert table.loc["platform's model", "difference_se"] == 0


@pytest.mark.medium
def test_leaking_features_stop_the_backtest(matches: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(table: pd.DataFrame, home: np.ndarray, away: np.ndarray) -> pd.DataFrame:
        return feature_frame(table, home, away).assign(elo=1 - outcomes(table))

    monkeypatch.setattr(api, "feature_frame", leaky)
    with pytest.raises(LeakageError):
        api.backtest(logit(), matches, first_season=2023)


@pytest.mark.parametrize(
    ("estimator", "columns", "expected"),
    [
        (Ridge(), ("elo",), "no scikit-learn classifier"),
        (Broken(), ("elo",), "cannot be fitted: RuntimeError.*out of luck"),
        (logit(), ("elo", "closing_odds"), "unknown columns"),
        (logit(), ("log_home_odds", "log_away_odds"), "cannot be fitted: .*NaN"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(
    matches: pd.DataFrame, estimator: BaseEstimator, columns: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(InvalidInputError, match=expected):
        api.backtest(estimator, matches, columns=columns, first_season=2024)


def test_seasons_without_earlier_ones_are_refused(matches: pd.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match="no match of season 2014"):
        api.backtest(logit(), matches, first_season=2014, last_season=2014)


@pytest.mark.parametrize(
    ("estimator", "name", "reason", "columns", "expected"),
    [
        (logit(), "dixon_coles", "new", ("elo",), "is a recipe: launch train_model recipe=dixon_coles"),
        (logit(), "My model", "new", ("elo",), "lower-case letters"),
        (logit(), "mine", "  ", ("elo",), "needs a reason"),
        (Own(), "mine", "new", ("elo",), r"workers would not load .*\.Own.*install a recipe"),
        (Broken(), "mine", "new", ("elo",), "cannot be fitted"),
        (HistGradientBoostingClassifier(max_iter=2), "mine", "new", ("elo",), "would not load .*TreePredictor"),
        (Ridge(), "mine", "new", ("elo",), "no scikit-learn classifier"),
        (logit(), "mine", "new", ("elos",), "unknown columns"),
    ],
)
def test_candidate_that_workers_could_not_use_is_refused_at_once(
    tmp_path: Path, estimator: BaseEstimator, name: str, reason: str, columns: tuple[str, ...], expected: str
) -> None:
    settings = Settings(home=tmp_path)
    with pytest.raises(InvalidInputError, match=expected):
        api.submit(estimator, name, reason, columns=columns, settings=settings)
    assert submissions.waiting(Lake(settings.lake_root)) == []


@pytest.mark.parametrize("columns", [("elo",), ("elo", "log_home_odds", "log_away_odds")])
def test_candidate_waits_for_the_pipeline(tmp_path: Path, columns: tuple[str, ...]) -> None:
    """A model of odds must forecast matches without any, as a dummy can."""
    settings = Settings(home=tmp_path)
    estimator = logit() if len(columns) == 1 else DummyClassifier()
    candidate = api.submit(estimator, "mine", "fewer columns", columns=columns, settings=settings)
    lake = Lake(settings.lake_root)
    assert submissions.waiting(lake) == [candidate.id]
    assert submissions.read(lake, candidate.id).columns == columns
    assert candidate.outcome() is None
    with pytest.raises(NotPublishedError, match="not been trained after 0 seconds"):
        candidate.wait(0)
    with submissions.recorded_outcome(lake, candidate.id) as outcome:
        outcome |= {"version": 7, "what_happened": "version 7 is new, and staged"}
    assert candidate.wait(0) == 7
    assert submissions.waiting(lake) == []
