"""A worker with a wrong clock answers; one that does not take our tasks is told from one that does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from celery import Celery

from serving.wire.queue import QUEUE
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
