"""What a worker's model and states survive: versions that cannot answer, a registry that hangs, a damaged lake."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from features.errors import LeakageError, ModelUnavailableError, TouchlineError, UnknownTeamError
from features.io.registry import LoadedModel, ModelVersion
from features.io.sources.bundled import COMPETITION
from features.matrix import RATING_FEATURES
from serving.api.schemas.forecasts import Forecast, Probabilities
from serving.wire import forecast_json
from serving.wire.columns import Fixture, Forecasts, Slate, joined, parted, slate
from serving.worker import predictor as module
from serving.worker.predictor import Predictor
from tests.support.predictor_helpers import FIXTURE
from tests.support.service_harness import World

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
    predictor = Predictor(registry, master.lake)
    assert predictor.predict(SLATE).version == 1
    registry.model = bad
    with pytest.raises(ModelUnavailableError, match=why):
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
    predictor = Predictor(registry, master.lake)
    threading.Thread(target=predictor.follow, daemon=True).start()
    started = time.monotonic()
    for _ in range(20):  # all of them together wait no longer than one
        with pytest.raises(ModelUnavailableError, match="not answered"):
            predictor.predict(SLATE)
    assert 0.3 <= time.monotonic() - started < 2
    registry.answering.set()
    assert predictor._first is not None
    predictor._first.join(5)
    assert predictor.predict(SLATE).version == 1


def test_a_missing_or_damaged_table_of_states_leaves_its_last_good_one_and_others_go_on(world: World) -> None:
    lake = world.lake
    states = lake.read_table("team_states", COMPETITION)
    lake.write_table("team_states", "xx-league", states.assign(competition="xx-league"))
    predictor = Predictor(Registry(model(1)), lake)
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
    predictor = Predictor(Registry(model(1, features=RATING_FEATURES)), master.lake)
    fixtures = [
        FIXTURE,
        replace(FIXTURE, away_team="Chelsey"),
        replace(FIXTURE, home_team="Liverpool", kick_off="2031-01-01T15:00:00+01:00"),
        replace(FIXTURE, kick_off="2020-01-01T15:00:00+01:00"),
        replace(FIXTURE, kick_off="0001-01-01T00:00:00+14:00"),
        replace(FIXTURE, kick_off="9999-12-31T23:59:59.999999-14:00"),
        replace(FIXTURE, neutral=True),
    ]
    slates = [slate(fixtures[:1]), slate(fixtures[1:4]), slate([]), slate(fixtures[4:])]
    sent = [Slate.read(one) for one in orjson.loads(orjson.dumps([one.document() for one in slates]))]
    forecasts = predictor.predict(joined(sent)).forecasts
    found = list(parted(forecasts, [1, 3, 0, 3]))
    assert [len(one["kind"]) for one in found] == [1, 3, 0, 3]
    answers = [_said(fixture, one) for fixture, one in zip(fixtures, _each(found), strict=True)]
    for fixture, answer in zip(fixtures, answers, strict=True):
        alone = _said(fixture, predictor.predict(slate([fixture])).forecasts)
        assert (type(answer), str(answer)) == (type(alone), str(alone))
    kinds = [type(answer) for answer in answers]
    assert kinds == [dict, UnknownTeamError, dict, LeakageError, LeakageError, dict, dict]
    assert "Chelsea" in str(answers[1])
    assert "kick_off 2020-01-01T14:00:00Z" in str(answers[3])
    assert answers[6]["match_id"] == FIXTURE.match_id
    assert answers[6]["probabilities"] != answers[0]["probabilities"], "on neutral ground"
    whole = forecast_json.batch(range(7), fixtures, forecast_json.Answers.read(forecasts), {1: b'"no"', 3: b'"no"'})
    items = orjson.loads(whole)["items"]
    assert [item["index"] for item in items] == list(range(7))
    assert [item["error"] for item in items] == [None, "no", None, "no", None, None, None]
    assert [items[place]["forecast"] for place in (0, 2, 5, 6)] == [answers[place] for place in (0, 2, 5, 6)]
    own = list(forecast_json.Answers.read(forecasts).parted([1, 3, 0, 3]))
    assert [[place for place, _ in one.errors] for one in own] == [[], [0, 2], [], [0]]
    last = orjson.loads(forecast_json.batch([0, 1, 2], fixtures[4:], own[3], {0: b'"no"'}))["items"]
    assert [item["forecast"] for item in last] == [None, answers[5], answers[6]]


def _each(parts: Iterable[Forecasts]) -> Iterator[Forecasts]:
    for one in parts:
        yield from parted(one, [1] * len(one["kind"])) if len(one["kind"]) > 1 else [one] * len(one["kind"])


def _said(fixture: Fixture, forecasts: Forecasts) -> Any:
    """The document of a forecast, or the error that stands in its place."""
    try:
        return orjson.loads(forecast_json.document(fixture, forecast_json.Answers.read(forecasts)))
    except TouchlineError as error:
        return error


def test_a_fixture_is_read_from_tasks_of_older_and_newer_versions() -> None:
    told = orjson.loads(orjson.dumps(replace(FIXTURE, neutral=True).columns()))
    assert Fixture.read({**told, "of_tomorrow": 1}) == replace(FIXTURE, neutral=True)
    del told["listed"]
    assert Fixture.read(told).listed


def test_a_forecast_is_written_as_its_schema_has_it(master: World) -> None:
    predictor = Predictor(Registry(model(1, features=RATING_FEATURES)), master.lake)
    strange = replace(FIXTURE, season='"Köln\\', kick_off="2031-01-01T15:00:00+01:00")
    said = forecast_json.document(strange, forecast_json.Answers.read(predictor.predict(slate([strange])).forecasts))
    document = orjson.loads(said)
    assert list(document) == list(Forecast.model_fields)
    assert list(document["probabilities"]) == list(Probabilities.model_fields)
    assert document["season"] == strange.season
    assert Forecast.model_validate(document).kick_off == datetime(2031, 1, 1, 14, tzinfo=UTC)
    assert said == orjson.dumps(document), "as any other answer is written"
