"""While the lake is damaged or lost, the API answers from the last good tables."""

from __future__ import annotations

import io
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from features.io.sources.bundled import COMPETITION
from tests.support.openapi_assertions import documented
from tests.support.service_harness import COLUMN_OF_TABLE, Service, World, publish, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
SETTLED = "eng-premier-league-2025-26-arsenal-chelsea"
REQUESTS: tuple[Callable[[httpx.Client], httpx.Response], ...] = (
    lambda client: client.post("/predict", json=PAIR),
    lambda client: client.get(f"/predict/{SETTLED}"),
    lambda client: client.get("/matches", params={"competition": COMPETITION, "limit": 5}),
    lambda client: client.get("/teams"),
)
pytestmark = pytest.mark.slow


@pytest.fixture
def service(world: World, valkey: str, tmp_path: Path) -> Iterator[Service]:
    running = Service(world, f"{valkey}/8", f"{valkey}/9", tmp_path, {"TOUCHLINE_CATALOGUE_REFRESH_SECONDS": "0.1"})
    running.start_api()
    running.start_worker()
    running.wait_ready()
    yield running
    running.stop()


def test_damage_to_the_lake_never_shows_and_news_come_through(world: World, service: Service) -> None:
    """Files are damaged and deleted under load. Every request is answered, and later changes appear."""
    ended = threading.Event()
    writer = threading.Thread(target=_vandal, args=(world, ended))
    statuses: Counter[int] = Counter()
    with httpx.Client(base_url=service.url, timeout=40) as client:
        before = [ask(client).json() for ask in REQUESTS]
        writer.start()
        try:
            until = time.monotonic() + 8
            while time.monotonic() < until:
                statuses.update(ask(client).status_code for ask in REQUESTS)
        finally:
            ended.set()
            writer.join()
        assert set(statuses) == {200}
        assert statuses[200] > 100
        damaged = client.get("/healthcheck/ready")
        assert damaged.status_code == 200  # it is ready all the same and names the damaged tables
        publish(world)
        wait_until(lambda: ";" not in _lake(client), 10)  # no table is named any more
        assert [ask(client).json() for ask in REQUESTS[1:]] == before[1:]


def _lake(client: httpx.Client) -> str:
    return str(client.get("/healthcheck/ready").json()["parts"]["lake"]["detail"])


def _vandal(world: World, ended: threading.Event) -> None:
    """Damage tables in place and in random order.

    Each is deleted, emptied, cut short, overwritten with random bytes, written as by an older version, or restored.
    """
    files = list(world.lake_root.rglob("*.parquet"))
    whole = {file: file.read_bytes() for file in files}
    older = {file: _older(file, COLUMN_OF_TABLE[file.relative_to(world.lake_root).parts[0]]) for file in files}
    rng = random.Random(7)
    while not ended.is_set():
        file = rng.choice(files)
        harm = rng.randrange(6)
        if harm == 0:
            file.unlink(missing_ok=True)
        elif harm == 1:
            file.write_bytes(b"")
        elif harm == 2:
            file.write_bytes(whole[file][: rng.randrange(len(whole[file]))])
        elif harm == 3:
            file.write_bytes(rng.randbytes(2000))
        elif harm == 4:
            file.write_bytes(older[file])
        else:
            file.write_bytes(whole[file])
        ended.wait(0.01)


def _older(file: Path, column: str) -> bytes:
    """The table as written by a version that did not know the column."""
    made = io.BytesIO()
    pd.read_parquet(file).drop(columns=column).to_parquet(made)
    return made.getvalue()


def test_an_api_started_before_the_lake_needs_no_restart(master: World, valkey: str, tmp_path: Path) -> None:
    """Until the lake is there, it says what is missing."""
    early = Service(World(tmp_path / "lake", master.tracking_uri), f"{valkey}/8", f"{valkey}/9", tmp_path)
    early.start_api()
    try:
        with httpx.Client(base_url=early.url, timeout=20) as client:
            ready = documented(early.url, "/healthcheck/ready", client.get("/healthcheck/ready"))
            assert (ready.status_code, ready.json()["parts"]["lake"]["ok"]) == (503, False)
            assert client.get("/healthcheck/").status_code == 200
            nothing = documented(early.url, "/predict", client.post("/predict", json=PAIR))
            assert nothing.status_code == 404
            shutil.copytree(master.lake_root, tmp_path / "lake", dirs_exist_ok=True)
            wait_until(lambda: client.get("/healthcheck/ready").json()["parts"]["lake"]["ok"])
            assert client.get(f"/predict/{SETTLED}").status_code == 200
    finally:
        early.stop()
