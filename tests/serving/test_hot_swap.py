"""Workers follow the `production` alias while they answer."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import psutil
import pytest

from features.errors import ModelUnavailable
from features.io.registry import PRODUCTION
from features.io.sources.bundled import COMPETITION
from features.io.store import Lake
from serving import calls, heartbeat, worker
from serving.predictor import Fixture, Predictor
from serving.settings import ServingSettings
from tests.serving.stage import Service, World

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
FIXTURE: Fixture = {
    "match_id": "eng-premier-league-2025-26-arsenal-chelsea",
    "competition": COMPETITION,
    "season": "2025-26",
    "kick_off": None,
    "home_team": "Arsenal",
    "away_team": "Chelsea",
    "neutral": False,
}


@pytest.fixture
def swapping(world: World, valkey: str, tmp_path: Path) -> Iterator[Service]:
    """A service with a registry of its own."""
    service = Service(world, f"{valkey}/4", f"{valkey}/5", tmp_path)
    service.start_api()
    service.start_worker()
    service.wait_ready(120)
    yield service
    service.stop()


def test_promoted_and_rolled_back_under_load_no_request_fails(swapping: Service, world: World) -> None:
    async def load() -> tuple[set[int], list[int]]:
        done = asyncio.Event()
        statuses: set[int] = set()
        async with httpx.AsyncClient(base_url=swapping.url, timeout=60) as client:

            async def ask() -> None:
                while not done.is_set():
                    statuses.add((await client.post("/predict", json=PAIR)).status_code)

            async def version() -> int:
                return int((await client.post("/predict", json=PAIR)).json()["model"]["version"])

            asking = [asyncio.create_task(ask()) for _ in range(8)]
            seen = [await version()]
            for wanted in (2, 1):
                await asyncio.to_thread(world.registry.set_alias, PRODUCTION, wanted)
                async with asyncio.timeout(120):
                    while (found := await version()) != wanted:
                        await asyncio.sleep(0.1)
                seen.append(found)
            done.set()
            await asyncio.gather(*asking)
        return statuses, seen

    statuses, seen = asyncio.run(load())
    assert statuses == {200}
    assert seen == [1, 2, 1]


def test_each_answer_is_wholly_of_one_version(master: World) -> None:
    predictor = Predictor(master.registry, master.lake)
    by_version = {}
    for version in (1, 2):
        found = master.registry.version(version)
        assert found is not None
        model = master.registry.load(found)
        predictor.follow()
        predictor._serving = type(predictor.serving)(model, predictor.serving.loaded_at)  # type: ignore[misc,union-attr]
        prediction = predictor.predict([FIXTURE] * 50)
        answers = {json.dumps(answer, sort_keys=True) for answer in prediction.answers}
        assert len(answers) == 1
        by_version[version] = json.loads(answers.pop())
        assert by_version[version]["model"]["version"] == prediction.version == version
    assert by_version[1]["probabilities"] != by_version[2]["probabilities"]


def test_while_the_registry_is_away_the_loaded_model_goes_on(master: World) -> None:
    predictor = Predictor(_Failing(master), master.lake)  # type: ignore[arg-type]
    with pytest.raises(ModelUnavailable):
        predictor.predict([FIXTURE])
    predictor._registry.away = False  # type: ignore[attr-defined]
    predictor._failed_at = float("-inf")
    assert predictor.predict([FIXTURE]).version == 1
    predictor._registry.away = True  # type: ignore[attr-defined]
    with pytest.raises(ModelUnavailable):
        predictor.follow()
    assert predictor.predict([FIXTURE]).version == 1
    assert predictor.error is not None
    assert predictor.take_swaps() == {"success": 1, "failure": 2}
    assert predictor.take_swaps() == {}


def test_a_registry_that_never_answers_holds_up_neither_the_states_nor_the_heartbeat(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, ended = _Hanging(world), threading.Event()
    spoken = SimpleNamespace(hset=lambda *_: None)
    monkeypatch.setattr(calls, "results", lambda: spoken)
    predictor = Predictor(registry, Lake(str(world.lake_root)))  # type: ignore[arg-type]
    before = predictor.predict([FIXTURE]).answers[0]
    registry.hangs = True
    heartbeat_file = tmp_path / "beats" / heartbeat.MODEL
    try:
        worker.look_after(predictor, ServingSettings(model_poll_seconds=0.05, heartbeat_dir=tmp_path / "beats"), ended)
        assert registry.asked.wait(20)
        states = world.lake.read_table("team_states", COMPETITION)
        world.lake.write_table("team_states", COMPETITION, states.assign(elo=states["elo"].to_numpy()[::-1]))
        soon(lambda: predictor.predict([FIXTURE]).answers[0] != before)
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
    before = predictor.predict([FIXTURE]).answers[0]
    path = world.lake_root / "team_states" / f"{COMPETITION}.parquet"
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 2], b""):
        path.write_bytes(damage)
        predictor.refresh_states()
        assert predictor.predict([FIXTURE]).answers[0] == before
    world.lake.write_table("team_states", COMPETITION, world_states_without(whole, "elo"))
    predictor.refresh_states()
    assert predictor.predict([FIXTURE]).answers[0] == before
    path.unlink()
    predictor.refresh_states()
    assert predictor.predict([FIXTURE]).answers[0] == before
    path.write_bytes(whole)
    predictor.refresh_states()
    assert predictor.predict([FIXTURE]).answers[0] == before


def test_memory_does_not_grow_with_swaps(master: World) -> None:
    predictor = Predictor(master.registry, master.lake)
    versions = [master.registry.version(number) for number in (1, 2)]
    predictor.predict([FIXTURE])
    sizes = []
    for swap in range(24):
        predictor._serving = type(predictor.serving)(
            master.registry.load(versions[swap % 2]), predictor.serving.loaded_at
        )  # type: ignore
        predictor.predict([FIXTURE] * 64)
        sizes.append(psutil.Process().memory_info().rss)
    assert np.median(sizes[-3:]) - np.median(sizes[3:6]) < 15e6


def world_states_without(parquet: bytes, column: str):
    """The table of some bytes without a column, as an older version might have written it."""
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
            raise ModelUnavailable("the registry is away")
        return self._real.by_alias(alias)

    def load(self, version):
        return self._real.load(version)

    def __getattr__(self, name: str):
        return getattr(self._real, name)


class _Hanging(_Failing):
    """A registry behind a network that drops what is sent, from some moment on."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.away, self.hangs = False, False
        self.asked, self.answers = threading.Event(), threading.Event()

    def by_alias(self, alias: str):
        if self.hangs:
            self.asked.set()
            self.answers.wait()
        return super().by_alias(alias)
