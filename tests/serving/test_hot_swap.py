"""Workers follow the `production` alias while they answer requests."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from redis import Redis

from features.errors import ModelUnavailableError
from features.io.registry import PRODUCTION, Registry
from features.io.sources.bundled import COMPETITION, load
from features.io.store import Lake
from serving.settings import ServingSettings
from serving.wire.columns import FixtureBatch
from serving.worker import heartbeat
from serving.worker.background_refresh import start_background_refresh
from serving.worker.predictor import RETRY_AFTER_SECONDS, Predictor
from tests.support.fakes import FakeClock, OneVersionRegistry
from tests.support.load_generator import Outcome, opened
from tests.support.mlflow_server import Tracking
from tests.support.predictor_helpers import FIXTURE, documents
from tests.support.service_harness import Service, World, train, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
BATCH = FixtureBatch.from_fixtures([FIXTURE])


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """A tracking server with two model versions, the first of them in production."""
    folder = tmp_path_factory.mktemp("tracking")
    server = Tracking(f"sqlite:///{folder}/mlflow.db", folder, folder / "artifacts")
    server.start()
    registry = Registry(server.url)
    for regularisation in (0.01, 0.02):
        train(registry, load(), regularisation)
    registry.set_alias(PRODUCTION, 1)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def swapping(
    master: World,
    tracking: Tracking,
    brokers: Callable[[int], tuple[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service with two worker children that polls the alias at the default interval."""
    folder = tmp_path_factory.mktemp("swapping")
    (folder / "tmp").mkdir()
    seconds = ServingSettings.model_fields["model_poll_seconds"].default
    extra = {
        "TOUCHLINE_MODEL_POLL_SECONDS": str(seconds),
        "TOUCHLINE_WORKER_CONCURRENCY": "2",
        "TMPDIR": str(folder / "tmp"),
    }
    service = Service(tracking.seen_from(master), *brokers(4), folder, extra)
    try:
        service.start_api()
        service.start_worker()
        service.wait_ready()
        wait_until(lambda: httpx.post(f"{service.url}/predict", json=PAIR).status_code == 200)
        yield service
    finally:
        service.stop()


@pytest.mark.exclusive
def test_promotion_and_rollback_under_load_fail_no_request_and_mix_no_versions(
    swapping: Service,
) -> None:
    registry, url = swapping.world.registry, swapping.url
    registry.set_alias(PRODUCTION, 1)
    bodies: list[tuple[float, bytes]] = []
    moved: list[tuple[float, int]] = []

    async def promote() -> None:
        for version in (2, 1):
            await asyncio.sleep(4)
            await asyncio.to_thread(registry.set_alias, PRODUCTION, version)
            moved.append((time.monotonic(), version))
            await asyncio.sleep(13)

    async def everything() -> tuple[Outcome, Outcome]:
        pair_body = json.dumps(PAIR).encode()
        batch_body = json.dumps({"matches": [PAIR] * 50}).encode()
        keep = lambda body: bodies.append((time.monotonic(), body))  # noqa: E731
        single = opened(f"{url}/predict", [pair_body], 195, 34, keep)
        batch = opened(f"{url}/predict/batch", [batch_body], 5, 34, keep)
        return (await asyncio.gather(single, batch, promote()))[:2]

    outcomes = asyncio.run(everything())
    assert [outcome.failures for outcome in outcomes] == [0, 0]
    assert len(bodies) == 34 * 200
    seen = [(received_at, _version_and_probabilities(body)) for received_at, body in bodies]
    assert {version for _, (version, _) in seen} == {1, 2}
    probabilities_of: dict[int, tuple[float, ...]] = {}
    for _, (version, probabilities) in seen:
        assert probabilities_of.setdefault(version, probabilities) == pytest.approx(probabilities, abs=1e-9)
    assert probabilities_of[1] != pytest.approx(probabilities_of[2], abs=1e-6)
    for since, version in moved:
        late = [served for received_at, (served, _) in seen if since + 15 > received_at > since + 10]
        assert set(late) == {version}


def _version_and_probabilities(body: bytes) -> tuple[int, tuple[float, ...]]:
    """Return version and probabilities of an answer; they must be the same for all items of a batch."""
    answer = json.loads(body)
    distinct = {
        (forecast["model"]["version"], tuple(round(p, 12) for p in forecast["probabilities"].values()))
        for forecast in ([item["forecast"] for item in answer["items"]] if "items" in answer else [answer])
    }
    assert len(distinct) == 1, distinct
    return distinct.pop()


@pytest.mark.slow
def test_after_twenty_swaps_a_worker_has_the_memory_it_had_and_left_no_files(
    swapping: Service, tracking: Tracking
) -> None:
    registry = swapping.world.registry
    swapping.extra["TOUCHLINE_MODEL_POLL_SECONDS"] = "0.2"
    quick = swapping.start_worker("quick")
    with httpx.Client(base_url=swapping.url, timeout=40) as client:
        versions = [1, 2] * 11
        sizes = []
        for version in versions:
            registry.set_alias(PRODUCTION, version)
            wait_until(lambda: _versions(client, quick.pid) == {version})  # noqa: B023 - called at once
            client.post("/predict/batch", json={"matches": [PAIR] * 500})
            sizes.append(_memory(quick.pid))
    quick.terminate()
    quick.wait(20)
    print(f"worker of two children before and after 20 swaps: {sizes[1] / 1e6:.0f} and {sizes[-1] / 1e6:.0f} MB")
    assert np.median(sizes[-3:]) - np.median(sizes[1:4]) < 15e6
    assert list((swapping.folder / "tmp").glob("touchline-model-*")) == []
    assert list((swapping.folder / "tmp").rglob("*.skops")) == []


def _versions(client: httpx.Client, worker: int) -> set[int]:
    """The model versions of a worker's two children; empty until both have reported."""
    children = {child.pid for child in psutil.Process(worker).children()}
    workers = client.get("/monitoring/celery/workers").json()["items"]
    reports = [report for report in workers if report["pid"] in children]
    return {report["model_version"] for report in reports} if len(reports) == 2 else set()


def _memory(worker: int) -> int:
    """The memory of a worker and its children; memory that they share counts once."""
    processes = [psutil.Process(worker), *psutil.Process(worker).children()]
    return sum(getattr(process.memory_full_info(), "pss", None) or process.memory_info().rss for process in processes)


def _rounded(probabilities: dict[str, float]) -> dict[str, float]:
    return {outcome: round(probability, 12) for outcome, probability in probabilities.items()}


def test_each_answer_is_wholly_of_one_version(master: World) -> None:
    """Equal fixtures of a batch may differ in the last digit: linear algebra treats the last rows on their own."""
    by_version = {}
    for version in (1, 2):
        model_version = master.registry.version(version)
        assert model_version is not None
        predictor = Predictor(OneVersionRegistry(master.registry.load(model_version)), master.lake)
        fixtures = [FIXTURE] * 50
        prediction = predictor.predict(FixtureBatch.from_fixtures(fixtures))
        answers = {
            json.dumps({**answer, "probabilities": _rounded(answer["probabilities"])}, sort_keys=True)
            for answer in documents(fixtures, prediction.forecasts)
        }
        assert len(answers) == 1
        by_version[version] = json.loads(answers.pop())
        assert by_version[version]["model"]["version"] == prediction.version == version
    assert by_version[1]["probabilities"] != by_version[2]["probabilities"]


def test_while_the_registry_is_away_the_loaded_model_goes_on(master: World) -> None:
    registry = _Failing(master)
    clock = FakeClock()
    predictor = Predictor(registry, master.lake, clock)
    with pytest.raises(ModelUnavailableError):
        predictor.predict(BATCH)
    registry.away = False
    with pytest.raises(ModelUnavailableError):
        predictor.predict(BATCH)
    clock.seconds += RETRY_AFTER_SECONDS
    assert predictor.predict(BATCH).version == 1
    registry.away = True
    with pytest.raises(ModelUnavailableError):
        predictor.refresh_model()
    assert predictor.predict(BATCH).version == 1
    assert predictor.error is not None
    assert predictor.pop_reload_counts() == {"success": 1, "failure": 2}
    assert predictor.pop_reload_counts() == {}


def test_a_registry_that_never_answers_holds_up_neither_the_states_nor_the_heartbeat(
    world: World, valkey: str, tmp_path: Path
) -> None:
    registry, ended = _Hanging(world), threading.Event()
    predictor = Predictor(registry, Lake(str(world.lake_root)))
    before = predictor.predict(BATCH).forecasts
    registry.hangs = True
    heartbeat_file = tmp_path / "beats" / heartbeat.MODEL
    try:
        settings = ServingSettings(model_poll_seconds=0.05, heartbeat_dir=tmp_path / "beats")
        start_background_refresh(predictor, settings, Redis.from_url(f"{valkey}/13"), ended)
        assert registry.called.wait(20)
        states = world.lake.read_table("team_states", COMPETITION)
        world.lake.write_table("team_states", COMPETITION, states.assign(elo=states["elo"].to_numpy()[::-1]))
        soon(lambda: predictor.predict(BATCH).forecasts != before)
        heartbeat_file.unlink()
        soon(heartbeat_file.exists)
    finally:
        ended.set()
        registry.answers.set()


def soon(holds: Callable[[], bool]) -> None:
    """Wait until something holds, 20 s at most."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_states_that_cannot_be_read_leave_the_last_good_ones_in_use(world: World) -> None:
    predictor = Predictor(world.registry, Lake(str(world.lake_root)))
    before = predictor.predict(BATCH).forecasts
    path = world.lake_root / "team_states" / f"{COMPETITION}.parquet"
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 2], b""):
        path.write_bytes(damage)
        predictor.refresh_team_states()
        assert predictor.predict(BATCH).forecasts == before
    world.lake.write_table("team_states", COMPETITION, world_states_without(whole, "elo"))
    predictor.refresh_team_states()
    assert predictor.predict(BATCH).forecasts == before
    path.unlink()
    predictor.refresh_team_states()
    assert predictor.predict(BATCH).forecasts == before
    path.write_bytes(whole)
    predictor.refresh_team_states()
    assert predictor.predict(BATCH).forecasts == before


def world_states_without(parquet: bytes, column: str):
    """The table in a Parquet file without one column, as an older version might have written it."""
    import io

    import pandas as pd

    return pd.read_parquet(io.BytesIO(parquet)).drop(columns=column)


class _Failing:
    """A registry that can be away."""

    def __init__(self, world: World) -> None:
        self._real = world.registry
        self.away = True

    def by_alias(self, alias: str):
        if self.away:
            raise ModelUnavailableError("the registry is away")
        return self._real.by_alias(alias)

    def load(self, version):
        return self._real.load(version)

    def __getattr__(self, name: str):
        return getattr(self._real, name)


class _Hanging(_Failing):
    """A registry that gives no answer once `hangs` is set, like one behind a network that drops packets."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.away, self.hangs = False, False
        self.called, self.answers = threading.Event(), threading.Event()

    def by_alias(self, alias: str):
        if self.hangs:
            self.called.set()
            self.answers.wait()
        return super().by_alias(alias)
