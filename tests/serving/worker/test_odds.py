"""Online forecasts of a model with odds use the odds of the published forecasts, or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.forecasts import forecast
from features.io.registry import LoadedModel, ModelVersion
from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF, load
from features.io.store import Lake
from features.matches import ODDS, OUTCOMES, SCHEMA, Status, as_known_at, outcomes
from features.matrix import FEATURE_GROUPS, FEATURES, FeatureGroup, model_input
from features.models import outcome_model
from features.odds import bookmaker_log_odds
from features.rating_history import STATES, compute_ratings
from serving.wire.fixtures import Fixture
from serving.worker.predictor import Predictor
from tests.support.fakes import OneVersionRegistry
from tests.support.predictor_helpers import ask

THROUGH = "2025-05-25T15:00:00+00:00"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def matches() -> pd.DataFrame:
    """Matches as known in March 2026, whose odds become known two days before each match."""
    rng, table = np.random.default_rng(0), load()
    share = 0.75 * np.array([0.45, 0.25, 0.30]) + 0.25 * np.eye(3)[outcomes(table)]
    odds = pd.DataFrame(1 / (1.05 * share * rng.uniform(0.9, 1.1, share.shape)), columns=list(ODDS))
    return as_known_at(table.assign(**odds, odds_known_at=table["kick_off"] - 2 * DAY), REPLAY_AS_OF)


def _model(matches: pd.DataFrame, group: FeatureGroup) -> LoadedModel:
    names, run = FEATURE_GROUPS[group], compute_ratings(matches)
    learn = (matches["season"] < "2025-26").to_numpy()
    x = model_input(run.home, run.away, matches["neutral"].to_numpy(bool), bookmaker_log_odds(matches))
    x = x[:, [FEATURES.index(name) for name in names]]
    estimator = outcome_model(features=names).fit(x[learn], outcomes(matches[learn]))
    return LoadedModel(ModelVersion(1, "run", REPLAY_AS_OF, {"trained_through": THROUGH}), estimator, names)


@pytest.fixture(scope="module")
def model(matches: pd.DataFrame) -> LoadedModel:
    return _model(matches, FeatureGroup.GOALS_AND_ODDS)


@pytest.fixture
def lake(tmp_path: Path, matches: pd.DataFrame) -> Lake:
    lake = Lake(str(tmp_path))
    lake.write_table("matches", COMPETITION, matches, SCHEMA)
    lake.write_table("team_states", COMPETITION, compute_ratings(matches).team_states, STATES)
    return lake


def _fixture(row: pd.Series, **changes: Any) -> Fixture:
    kick_off = row["kick_off"].isoformat()
    match, clubs = (row["match_id"], row["competition"], row["season"]), (row["home_team"], row["away_team"])
    return replace(Fixture(*match, kick_off, *clubs, row["neutral"]), **changes)


def _ahead(matches: pd.DataFrame) -> pd.DataFrame:
    return matches[matches["kick_off"] > REPLAY_AS_OF].reset_index(drop=True)


def _probabilities(predictor: Predictor, fixtures: list[Fixture]) -> np.ndarray:
    return np.array([[answer["probabilities"][outcome] for outcome in OUTCOMES] for answer in ask(predictor, fixtures)])


def test_online_forecasts_with_odds_are_those_that_the_batch_publishes(
    lake: Lake, matches: pd.DataFrame, model: LoadedModel
) -> None:
    ahead = _ahead(matches)
    version = model.version
    batch = forecast(model, ahead, compute_ratings(matches).team_states, 1, version.trained_through, REPLAY_AS_OF)
    used = batch["odds_home"].notna()
    assert 0 < used.sum() < len(batch)
    predictor = Predictor(OneVersionRegistry(model), lake)
    fixtures = [_fixture(row) for _, row in ahead.iterrows()]
    np.testing.assert_allclose(_probabilities(predictor, fixtures), batch[list(OUTCOMES)], rtol=0, atol=1e-9)
    features_as_of = [pd.Timestamp(answer["features_as_of"]) for answer in ask(predictor, fixtures)]
    assert features_as_of == batch["features_as_of"].dt.floor("s").tolist()
    assert predictor.error is None


def test_odds_that_are_not_those_of_this_match_or_of_later_than_its_kick_off_are_none(
    lake: Lake, matches: pd.DataFrame, model: LoadedModel
) -> None:
    row = _ahead(matches).dropna(subset=["odds_home"]).iloc[0]
    predictor = Predictor(OneVersionRegistry(model), lake)
    fixtures = [
        _fixture(row),
        _fixture(row, kick_off=row["odds_known_at"].isoformat()),
        _fixture(row, match_id="eng-premier-league-2025-26-of-one-s-own", kick_off=None),
    ]
    p = _probabilities(predictor, fixtures)
    assert np.abs(p[0] - p[1]).max() > 1e-3
    np.testing.assert_array_equal(p[1], p[2])


def test_new_odds_are_followed_and_damaged_ones_leave_the_last_good_ones(
    lake: Lake, matches: pd.DataFrame, model: LoadedModel
) -> None:
    row = _ahead(matches).dropna(subset=["odds_home"]).iloc[0]
    predictor, fixtures = Predictor(OneVersionRegistry(model), lake), [_fixture(row)]
    before = _probabilities(predictor, fixtures)
    here = matches["match_id"] == row["match_id"]
    lake.write_table("matches", COMPETITION, matches.assign(odds_home=matches["odds_home"].mask(here, 1.05)), SCHEMA)
    predictor.refresh_team_states()
    after = _probabilities(predictor, fixtures)
    assert after[0, 0] > before[0, 0] + 0.1
    lake.write_table("matches", COMPETITION, matches.drop(columns="odds_home"))
    predictor.refresh_team_states()
    np.testing.assert_array_equal(_probabilities(predictor, fixtures), after)
    assert "odds_home" in str(predictor.error)
    over = matches.assign(status=matches["status"].mask(here, Status.PLAYED.value))
    lake.write_table("matches", COMPETITION, over, SCHEMA)
    predictor.refresh_team_states()
    assert predictor.error is None
    assert np.abs(_probabilities(predictor, fixtures) - after).max() > 1e-3, "the odds of a played match are not used"


def test_a_model_of_ratings_does_without_the_table_of_matches(lake: Lake, matches: pd.DataFrame) -> None:
    row = _ahead(matches).iloc[0]
    lake.write_table("matches", COMPETITION, matches.drop(columns="odds_home"))
    predictor = Predictor(OneVersionRegistry(_model(matches, FeatureGroup.GOALS)), lake)
    assert len(_probabilities(predictor, [_fixture(row)])) == 1
    predictor.refresh_team_states()
    assert predictor.error is None
