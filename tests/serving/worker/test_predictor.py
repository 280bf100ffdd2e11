"""A worker keeps its model and states when a version is unusable, the registry hangs or the lake is damaged."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from features.errors import LeakageError, ModelUnavailableError, TouchlineError, UnknownTeamError
from features.io import report_files
from features.io.registry import PRODUCTION, LoadedModel, ModelVersion
from features.io.sources.bundled import COMPETITION
from features.matrix import RATING_FEATURES
from serving.api.schemas.forecasts import Forecast, Probabilities
from serving.wire.columns import FixtureBatch, ForecastBatch, concat, split
from serving.wire.fixtures import Fixture
from serving.wire.forecast_json import EncodedForecasts, encode_batch, encode_forecast
from serving.worker import predictor as module
from serving.worker.predictor import Predictor
from tests.support.predictor_helpers import FIXTURE
from tests.support.service_harness import World, wait_until

BATCH = FixtureBatch.from_fixtures([FIXTURE])
THROUGH = {"trained_through": "2025-05-25T15:00:00+00:00"}


class ConstantEstimator:
    """An estimator that always returns the same probabilities."""

    def __init__(self, *columns: float) -> None:
        self.columns = columns

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.tile(self.columns, (len(x), 1))


class Registry:
    """A registry with one version in production, which can hang."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self.answering = threading.Event()
        self.answering.set()

    def by_alias(self, _: str) -> ModelVersion:
        self.answering.wait()
        return self.model.version

    def versions(self) -> list[ModelVersion]:
        return [self.model.version]

    def load(self, version: ModelVersion) -> LoadedModel:
        assert version == self.model.version
        return self.model


class HandledRegistry:
    """A registry whose alias `production` anybody moves; a version may be unusable or deleted."""

    def __init__(self, *models: LoadedModel) -> None:
        self.models = {model.version.version: model for model in models}
        self.production: int | None = None

    def by_alias(self, alias: str) -> ModelVersion | None:
        model = self.models.get(self.production or 0) if alias == PRODUCTION else None
        return model.version if model else None

    def versions(self) -> list[ModelVersion]:
        return [model.version for model in self.models.values()]

    def load(self, version: ModelVersion) -> LoadedModel:
        return self.models[version.version]


def model(
    number: int, columns: Sequence[float] = (0.5, 0.3, 0.2), features: Sequence[str] = ("elo",),
    tags: Mapping[str, str] = THROUGH,
) -> LoadedModel:  # fmt: skip
    version = ModelVersion(number, "run", datetime.now(UTC), tags)
    return LoadedModel(version, ConstantEstimator(*columns), tuple(features))


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (model(2, tags={}), "trained_through"),
        (model(2, tags={"trained_through": "2025-05-25T15:00:00"}), "timezone-aware"),
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
    assert predictor.predict(BATCH).version == 1
    registry.model = bad
    with pytest.raises(ModelUnavailableError, match=why):
        predictor.refresh_model()
    error = predictor.error
    assert error is not None
    assert why in error
    assert predictor.predict(BATCH).version == 1
    registry.model = model(3)
    assert predictor.refresh_model()
    assert (predictor.predict(BATCH).version, predictor.error) == (3, None)


def test_changed_tags_are_reported_without_a_reload(master: World) -> None:
    """A provisional version is confirmed by removing its tags."""
    provisional = model(1, tags={**THROUGH, "provisional_because": "judged by 90 matches"})
    registry = Registry(provisional)
    predictor = Predictor(registry, master.lake)
    predictor.predict(BATCH)
    loaded = predictor.active
    registry.model = replace(provisional, version=replace(provisional.version, tags=THROUGH))
    assert not predictor.refresh_model()
    assert loaded is not None
    assert predictor.active is not None
    assert predictor.active.model.version.tags == THROUGH
    assert (predictor.active.loaded_at, predictor.active.model.estimator) == (loaded.loaded_at, provisional.estimator)


def decided(world: World, *versions: int) -> None:
    """Log that these versions went into production by a decision, one after the other."""
    at = "2026-03-13T12:00:00+00:00"
    entries = [{"action": "promote", "version": version, "at": at} for version in versions]
    world.lake.write_json(report_files.PROMOTIONS, {"promotions": entries})


def test_a_version_deleted_in_the_registry_is_named_while_it_is_used(world: World) -> None:
    """A process that starts after the deletion uses the version of the decision before."""
    registry = HandledRegistry(model(1), model(2))
    registry.production = 2
    decided(world, 1, 2)
    predictor = Predictor(registry, world.lake)
    assert (predictor.predict(BATCH).version, predictor.error) == (2, None)
    del registry.models[2]
    for running, used in ((predictor, 2), (Predictor(registry, world.lake), 1)):
        with pytest.raises(ModelUnavailableError, match="no version of match-outcome is in production"):
            running.refresh_model()
        assert running.predict(BATCH).version == used
        assert running.error is not None
        assert running.error.endswith(f"version {used} is used")


def test_a_process_that_starts_without_a_usable_version_uses_the_one_before(world: World) -> None:
    registry = HandledRegistry(model(1), model(2), model(3, columns=[0.6, 0.4]))
    registry.production = 3
    decided(world, 1, 2)
    predictor = Predictor(registry, world.lake)
    assert predictor.predict(BATCH).version == 2
    assert predictor.error is not None
    assert "version 3 cannot be used" in predictor.error
    registry.production = 1
    assert predictor.refresh_model()
    assert predictor.predict(BATCH).version == 1
    error = predictor.error
    assert error is None


@pytest.mark.parametrize("required", [False, True])
def test_a_version_without_decision_is_used_unless_decisions_are_required(world: World, required: bool) -> None:
    registry = HandledRegistry(model(1), model(2))
    registry.production = 1
    decided(world, 1)
    predictor = Predictor(registry, world.lake, require_decision=required)
    assert predictor.predict(BATCH).version == 1
    registry.production = 2
    assert predictor.refresh_model() is not required
    assert predictor.predict(BATCH).version == (1 if required else 2)
    assert ("version 2 is in production without a decision" in (predictor.error or "")) is required
    decided(world, 1, 2)
    predictor.refresh_model()
    assert (predictor.predict(BATCH).version, predictor.error) == (2, None)


def test_callers_of_a_registry_that_hangs_are_told_so_and_served_once_it_answers(
    master: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_LOAD_TIMEOUT_SECONDS", 0.3)
    registry = Registry(model(1))
    registry.answering.clear()
    predictor = Predictor(registry, master.lake)
    threading.Thread(target=predictor.refresh_model, daemon=True).start()
    started = time.monotonic()
    for _ in range(20):  # twenty calls together wait no longer than one call
        with pytest.raises(ModelUnavailableError, match="not answered"):
            predictor.predict(BATCH)
    assert 0.3 <= time.monotonic() - started < 2
    registry.answering.set()
    wait_until(lambda: predictor.active is not None, 5)
    assert predictor.predict(BATCH).version == 1


def test_a_missing_or_damaged_table_of_states_leaves_its_last_good_one_and_others_go_on(world: World) -> None:
    lake = world.lake
    states = lake.read_table("team_states", COMPETITION)
    lake.write_table("team_states", "xx-league", states.assign(competition="xx-league"))
    predictor = Predictor(Registry(model(1)), lake)
    before = predictor.predict(BATCH).forecasts
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
        seen = predictor.refresh_team_states()
        assert predictor.predict(BATCH).forecasts == before
        assert predictor.error is not None
        assert COMPETITION in predictor.error
        assert sum(competition == "xx-league" for competition, _ in seen.rows) == number + 2
    path.write_bytes(whole)
    predictor.refresh_team_states()
    assert predictor.error is None


def test_joined_batches_are_forecast_as_each_match_alone(master: World) -> None:
    """One call answers several batches, and each error has the index of its match."""
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
    sizes = [1, 3, 0, 3]
    sent = [FixtureBatch.from_fixtures(part) for part in (fixtures[:1], fixtures[1:4], [], fixtures[4:])]
    received = [FixtureBatch.from_wire(orjson.loads(orjson.dumps(batch.to_wire()))) for batch in sent]
    forecasts = predictor.predict(concat(received)).forecasts
    assert [len(part["variant_index"]) for part in split(forecasts, sizes)] == sizes
    answers = [_answer(fixture, own) for fixture, own in zip(fixtures, split(forecasts, [1] * 7), strict=True)]
    for fixture, answer in zip(fixtures, answers, strict=True):
        alone = _answer(fixture, predictor.predict(FixtureBatch.from_fixtures([fixture])).forecasts)
        assert (type(answer), str(answer)) == (type(alone), str(alone))
    types = [type(answer) for answer in answers]
    assert types == [dict, UnknownTeamError, dict, LeakageError, LeakageError, dict, dict]
    assert "Chelsea" in str(answers[1])
    assert "kick_off 2020-01-01T14:00:00Z" in str(answers[3])
    assert answers[6]["match_id"] == FIXTURE.match_id
    assert answers[6]["probabilities"] != answers[0]["probabilities"], "the last match is on neutral ground"
    encoded = EncodedForecasts.from_wire(forecasts)
    items = orjson.loads(encode_batch(range(7), fixtures, encoded, {1: b'"no"', 3: b'"no"'}))["items"]
    assert [item["index"] for item in items] == list(range(7))
    assert [item["error"] for item in items] == [None, "no", None, "no", None, None, None]
    assert [items[index]["forecast"] for index in (0, 2, 5, 6)] == [answers[index] for index in (0, 2, 5, 6)]
    parts = list(encoded.split(sizes))
    assert [[index for index, _ in part.errors] for part in parts] == [[], [0, 2], [], [0]]
    last = orjson.loads(encode_batch([0, 1, 2], fixtures[4:], parts[3], {0: b'"no"'}))["items"]
    assert [item["forecast"] for item in last] == [None, answers[5], answers[6]]


def test_split_parts_of_a_batch_can_be_split_again(master: World) -> None:
    predictor = Predictor(Registry(model(1, features=RATING_FEATURES)), master.lake)
    fixtures = [replace(FIXTURE, neutral=neutral) for neutral in (False, True, False)]
    forecasts = predictor.predict(FixtureBatch.from_fixtures(fixtures)).forecasts
    whole = [_answer(fixture, part) for fixture, part in zip(fixtures, split(forecasts, [1, 1, 1]), strict=True)]
    first, second = split(forecasts, [2, 1])
    parts = [*split(first, [1, 1]), *split(second, [1])]
    assert [_answer(fixture, part) for fixture, part in zip(fixtures, parts, strict=True)] == whole


def _answer(fixture: Fixture, forecasts: ForecastBatch) -> Any:
    """The forecast as a document, or its error."""
    try:
        return orjson.loads(encode_forecast(fixture, EncodedForecasts.from_wire(forecasts)))
    except TouchlineError as error:
        return error


def test_a_fixture_is_read_from_tasks_of_older_and_newer_versions() -> None:
    received = orjson.loads(orjson.dumps(replace(FIXTURE, neutral=True).to_wire()))
    assert Fixture.from_wire({**received, "of_tomorrow": 1}) == replace(FIXTURE, neutral=True)
    del received["in_lake"]
    assert Fixture.from_wire(received).in_lake
    assert not Fixture.from_wire({**received, "listed": False}).in_lake, "version 0.1 called the field `listed`"


def test_an_encoded_forecast_matches_its_schema(master: World) -> None:
    predictor = Predictor(Registry(model(1, features=RATING_FEATURES)), master.lake)
    strange = replace(FIXTURE, season='"Köln\\', kick_off="2031-01-01T15:00:00+01:00")
    forecasts = predictor.predict(FixtureBatch.from_fixtures([strange])).forecasts
    encoded = encode_forecast(strange, EncodedForecasts.from_wire(forecasts))
    document = orjson.loads(encoded)
    assert [*document, "listed_kick_off"] == list(Forecast.model_fields), "which only a moved match has"
    assert list(document["probabilities"]) == list(Probabilities.model_fields)
    assert document["season"] == strange.season
    assert Forecast.model_validate(document).kick_off == datetime(2031, 1, 1, 14, tzinfo=UTC)
    assert encoded == orjson.dumps(document), "the encoding is that of every other response"
