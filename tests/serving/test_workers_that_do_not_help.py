"""A worker with a wrong clock answers; one that does not take our tasks is told from one that does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery import Celery

from serving.wire.queue import QUEUE
from serving.worker.heartbeat import ALIVE, CONNECTED, INTERVAL_SECONDS
from tests.support.prometheus_samples import samples
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
SHIFT_SECONDS = 35


@pytest.fixture(scope="module")
def skewed(
    master: World, brokers: Callable[[int], tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service whose worker's clock is ahead; Celery's variables in its environment name another broker."""
    extra = {"TOUCHLINE_TEST_CLOCK_SHIFT": str(SHIFT_SECONDS), "CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}
    service = Service(master, *brokers(8), tmp_path_factory.mktemp("skewed"), extra)
    try:
        service.start_api()
        service.start_worker("worker", "tests.support.shifted_clock_worker")
        service.wait_ready()
        yield service
    finally:
        service.stop()


@pytest.fixture
def blocked(master: World, brokers: Callable[[int], tuple[str, str]], tmp_path: Path) -> Iterator[Service]:
    """A service whose worker ends no task while the file `gate` exists."""
    extra = {"TOUCHLINE_TEST_GATE": str(tmp_path / "gate"), "TOUCHLINE_HEARTBEAT_DIR": str(tmp_path / "heartbeat")}
    service = Service(master, *brokers(10), tmp_path, extra)
    try:
        service.start_api()
        service.start_worker("worker", "tests.support.stalling_worker")
        service.wait_ready()
        yield service
    finally:
        service.stop()


def _workers_part(service: Service) -> dict[str, Any]:
    part: dict[str, Any] = httpx.get(f"{service.url}/healthcheck/ready", timeout=30).json()["parts"]["workers"]
    return part


def _metrics(service: Service) -> dict[tuple[str, ...], float]:
    return samples(httpx.get(f"{service.url}/metrics", timeout=30).text)


def test_a_worker_whose_clock_is_ahead_answers_and_is_named(skewed: Service) -> None:
    """Its clock alone makes no task expire, and does not make the worker seem gone or alive."""
    for _ in range(5):
        assert httpx.post(f"{skewed.url}/predict", json=PAIR, timeout=60).status_code == 200
    part = wait_until(lambda: (found := _workers_part(skewed)) and "ahead" in found["detail"] and found)
    assert part["ok"]
    assert f"{SHIFT_SECONDS} s ahead of the result store's" in part["detail"]
    assert _metrics(skewed)["touchline_clock_skew_seconds", "worker"] == pytest.approx(SHIFT_SECONDS, abs=2)


def test_a_worker_that_stops_to_consume_makes_the_api_unready(skewed: Service) -> None:
    """It is alive and reports, but takes no task."""
    Celery(broker=skewed.broker_url, set_as_current=False).control.cancel_consumer(QUEUE)
    wait_until(lambda: httpx.get(f"{skewed.url}/healthcheck/ready", timeout=30).status_code == 503)
    assert "no worker is running that takes tasks" in _workers_part(skewed)["detail"]
    wait_until(lambda: _metrics(skewed)["touchline_active_workers", QUEUE] == 0)


def test_a_worker_that_holds_a_task_and_ends_none_fails_readiness_and_the_probes(blocked: Service) -> None:
    """It consumes, and its processes live. Once the task ends, everything recovers without a restart."""
    gate, heartbeat = blocked.folder / "gate", blocked.folder / "heartbeat"

    def old(name: str) -> bool:
        return time.time() - (heartbeat / name).stat().st_mtime > 2.5 * INTERVAL_SECONDS

    wait_until(lambda: all((heartbeat / name).exists() for name in (ALIVE, CONNECTED)))
    gate.touch()
    accepted = httpx.post(f"{blocked.url}/predict/async/", json=PAIR, timeout=30)
    assert accepted.status_code == 202
    part = wait_until(lambda: not (found := _workers_part(blocked))["ok"] and found)
    assert "the workers hold 1 tasks and have finished none for" in part["detail"]
    assert httpx.get(f"{blocked.url}/healthcheck/ready", timeout=30).status_code == 503
    wait_until(lambda: old(CONNECTED) and old(ALIVE))
    gate.unlink()
    status = f"{blocked.url}/monitoring/task_status/{accepted.json()['task_id']}"
    wait_until(lambda: httpx.get(status, timeout=30).json()["status"] == "success")
    blocked.wait_ready()
    wait_until(lambda: not old(CONNECTED) and not old(ALIVE))
