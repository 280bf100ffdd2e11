"""One training: repeatable, judged on the same matches as its references, explained."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from features.errors import InvalidInput
from features.io.registry import Training
from features.io.sources import bundled
from features.matches import Status, as_known_at
from features.matrix import feature_frame
from features.replay import replay
from orchestration.training import Recipe, beats_references, train, trainable

AS_OF = datetime(2026, 3, 13, 12, tzinfo=UTC)
RECIPE = Recipe(seed=7, evaluate_from=2018)


@pytest.fixture(scope="module")
def matches() -> pd.DataFrame:
    return as_known_at(bundled.load(), AS_OF)


@pytest.fixture(scope="module")
def features(matches: pd.DataFrame) -> pd.DataFrame:
    states = replay(matches)
    return feature_frame(matches, states.home, states.away)


@pytest.fixture(scope="module")
def trained(matches: pd.DataFrame, features: pd.DataFrame) -> Training:
    return train(matches, features, RECIPE, AS_OF, "lake")


def test_the_same_data_and_seed_give_the_same_model_byte_for_byte(
    matches: pd.DataFrame, features: pd.DataFrame, trained: Training
) -> None:
    shuffled = features.sample(frac=1, random_state=1)  # the order in which tables are read must not matter
    again = train(matches, shuffled, RECIPE, AS_OF, "lake")
    x = trained.input_example.to_numpy(float)
    np.testing.assert_array_equal(trained.estimator.predict_proba(x), again.estimator.predict_proba(x))
    assert pickle.dumps(again.estimator) == pickle.dumps(trained.estimator)
    assert again.tags["data_digest"] == trained.tags["data_digest"]
    assert again.metrics == trained.metrics


def test_changed_data_changes_the_digest(matches: pd.DataFrame, features: pd.DataFrame, trained: Training) -> None:
    changed = features.copy()
    changed.loc[changed.index[2000], "elo"] += 0.1
    assert train(matches, changed, RECIPE, AS_OF, "lake").tags["data_digest"] != trained.tags["data_digest"]


def test_it_learns_from_seasons_that_are_over(matches: pd.DataFrame, trained: Training) -> None:
    assert trained.tags["trained_through"] == "2025-05-25T15:00:00+00:00"
    assert trained.tags["seasons"] == "2015-16 to 2024-25"
    assert set(matches.loc[trainable(matches), "season"]) == set(matches["season"]) - {"2025-26"}


def test_it_may_learn_from_the_running_season_when_asked(matches: pd.DataFrame) -> None:
    rows = matches[trainable(matches, include_running_season=True)]
    assert rows["season"].max() == "2025-26"
    assert (rows["status"] == Status.PLAYED).all()
    assert rows["kick_off"].max() < AS_OF


def test_a_season_with_a_match_never_played_is_over_when_the_next_has_begun(matches: pd.DataFrame) -> None:
    never = matches.copy()
    never.loc[never.index[3000], "status"] = Status.POSTPONED.value
    rows = never[trainable(never)]
    assert len(rows) == 11 * 380 - 1


def test_model_and_references_are_judged_on_the_same_matches(trained: Training) -> None:
    scores = json.loads(trained.documents["evaluation.json"])
    assert {one["n"] for one in scores["scores"].values()} == {scores["matches"]}
    assert scores["matches"] == 7 * 380
    assert beats_references(scores)
    assert trained.metrics["rps"] < trained.metrics["elo_rps"] < trained.metrics["base_rps"]
    assert 0.12 < trained.metrics["skill"] < 0.166, "better than closing odds ever are: look for the leak"


def test_one_season_is_not_enough(matches: pd.DataFrame, features: pd.DataFrame) -> None:
    few = matches[matches["season"] <= "2015-16"]
    with pytest.raises(InvalidInput):
        train(few[few["season"] == "2014-15"], features, RECIPE, AS_OF, "lake")
