"""What a worker's model and states survive: versions that cannot answer, a registry that hangs, a damaged lake."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import orjson
import pandas as pd
import pytest

from features.errors import LeakageError, ModelUnavailable, UnknownTeam
from features.io.registry import LoadedModel, ModelVersion
from features.io.sources.bundled import COMPETITION
from features.matrix import RATING_FEATURES
from serving import predictor as module
from serving.predictor import Predictor
from serving.slates import Fixture, documents, joined, parted, slate
from tests.serving.stage import World

FIXTURE: Fixture = {
    "match_id": "eng-premier-league-2025-26-arsenal-chelsea",
    "competition": COMPETITION,
    "season": "2025-26",
    "kick_off": None,
    "home_team": "Arsenal",
    "away_team": "Chelsea",
    "neutral": False,
}
SLATE = slate([FIXTURE])
THROUGH = {"trained_through": "2025-05-25T15:00:00+00:00"}


class Answers:
    """An estimator that answers as it is told."""

    def __init__(self, *columns: float) -> None:
        self.columns = columns

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.tile(self.columns, (len(x), 1))


class Registry:
    """One version in production; it can hang."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self.answering = threading.Event()
        self.answering.set()

    def by_alias(self, _: str) -> ModelVersion:
        self.answering.wait()
        return self.model.version

    def load(self, version: ModelVersion) -> LoadedModel:
        assert version == self.model.version
        return self.model


def model(
    number: int, columns: Sequence[float] = (0.5, 0.3, 0.2), features: Sequence[str] = ("elo",),
    tags: Mapping[str, str] = THROUGH,
) -> LoadedModel:  # fmt: skip
    version = ModelVersion(number, "run", datetime.now(UTC), tags)
    return LoadedModel(version, Answers(*columns), tuple(features))


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (model(2, tags={}), "trained_through"),
        (model(2, tags={"trained_through": "2025-05-25T15:00:00"}), "time zone"),
        (model(2, tags={"trained_through": "yesterday"}), "yesterday"),
        (model(2, features=["elo", "moon_phase"]), "moon_phase"),
        (model(2, columns=[0.6, 0.4]), "three probabilities"),
        (model(2, columns=[np.nan] * 3), "three probabilities"),
        (model(2, columns=[1.5, -0.3, -0.2]), "three probabilities"),
        (replace(model(2), estimator=None), "cannot be used"),
    ],
)
def test_a_version_that_cannot_answer_never_takes_over_and_the_next_good_one_does(
    master: World, bad: LoadedModel, why: str
) -> None:
    registry = Registry(model(1))
    predictor = Predictor(registry, master.lake)  # type: ignore[arg-type]
    assert predictor.predict(SLATE).version == 1
    registry.model = bad
    with pytest.raises(ModelUnavailable, match=why):
        predictor.follow()
    assert predictor.error is not None
    assert why in predictor.error
    assert predictor.predict(SLATE).version == 1
    registry.model = model(3)
    assert predictor.follow()
    assert (predictor.predict(SLATE).version, predictor.error) == (3, None)


def test_callers_of_a_registry_that_hangs_are_told_so_and_served_once_it_answers(
    master: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOAD_PATIENCE", 0.3)
    registry = Registry(model(1))
    registry.answering.clear()
    predictor = Predictor(registry, master.lake)  # type: ignore[arg-type]
    threading.Thread(target=predictor.follow, daemon=True).start()
    started = time.monotonic()
    for _ in range(20):  # all of them together wait no longer than one
        with pytest.raises(ModelUnavailable, match="not answered"):
            predictor.predict(SLATE)
    assert 0.3 <= time.monotonic() - started < 2
    registry.answering.set()
    predictor._first.join(5)  # type: ignore[union-attr]
    assert predictor.predict(SLATE).version == 1


def test_a_missing_or_damaged_table_of_states_leaves_its_last_good_one_and_others_go_on(world: World) -> None:
    lake = world.lake
    states = lake.read_table("team_states", COMPETITION)
    lake.write_table("team_states", "xx-league", states.assign(competition="xx-league"))
    predictor = Predictor(Registry(model(1)), lake)  # type: ignore[arg-type]
    before = predictor.predict(SLATE).forecasts
    path = world.lake_root / "team_states" / f"{COMPETITION}.parquet"
    whole = path.read_bytes()

    def damage(table: pd.DataFrame) -> None:
        lake.write_table("team_states", COMPETITION, table)

    for number, harm in enumerate(
        (
            path.unlink,
            lambda: path.write_bytes(whole[: len(whole) // 2]),
            lambda: damage(states.drop(columns="elo")),
            lambda: damage(states.assign(elo="high")),
            lambda: damage(states.assign(features_as_of="yesterday")),
            lambda: damage(states.assign(elo=np.nan)),
        )
    ):
        harm()
        news = states.head(number + 2).assign(competition="xx-league")
        lake.write_table("team_states", "xx-league", news)
        seen = predictor.refresh_states()
        assert predictor.predict(SLATE).forecasts == before
        assert predictor.error is not None
        assert COMPETITION in predictor.error
        assert sum(competition == "xx-league" for competition, _ in seen.rows) == number + 2
    path.write_bytes(whole)
    predictor.refresh_states()
    assert predictor.error is None


def test_slates_are_answered_by_one_call_each_match_by_itself_and_errors_stand_in_their_places(master: World) -> None:
    predictor = Predictor(Registry(model(1, features=RATING_FEATURES)), master.lake)  # type: ignore[arg-type]
    fixtures: list[Fixture] = [
        FIXTURE,
        {**FIXTURE, "away_team": "Chelsey"},
        {**FIXTURE, "home_team": "Liverpool", "kick_off": "2031-01-01T15:00:00+01:00"},
        {**FIXTURE, "kick_off": "2020-01-01T15:00:00+01:00"},
        {**FIXTURE, "kick_off": "0001-01-01T00:00:00+14:00"},
        {**FIXTURE, "kick_off": "9999-12-31T23:59:59.999999-14:00"},
        {**FIXTURE, "neutral": True},
    ]
    slates = [slate(fixtures[:1]), slate(fixtures[1:4]), slate([]), slate(fixtures[4:])]
    sent = orjson.loads(orjson.dumps(slates))
    found = list(parted(predictor.predict(joined(sent)).forecasts, sent))
    assert [len(one["errors"]) for one in found] == [1, 3, 0, 3]
    answers = [
        *documents(fixtures[:1], found[0]),
        *documents(fixtures[1:4], found[1]),
        *documents(fixtures[4:], found[3]),
    ]
    for fixture, answer in zip(fixtures, answers, strict=True):
        [alone] = documents([fixture], predictor.predict(slate([fixture])).forecasts)
        assert (type(answer), str(answer)) == (type(alone), str(alone))
    kinds = [type(answer) for answer in answers]
    assert kinds == [dict, UnknownTeam, dict, LeakageError, LeakageError, dict, dict]
    assert "Chelsea" in str(answers[1])
    assert "2020-01-01T15:00:00+01:00" in str(answers[3])
    [last] = documents(fixtures[6:], found[3], first=2)
    assert last == answers[6]
    assert isinstance(last, dict)
    assert last["match_id"] == FIXTURE["match_id"]
