"""While a dependency is away, metrics that only it knows are NaN: neither zero nor their last value."""

from __future__ import annotations

import math
from pathlib import Path

import httpx

from tests.support.prometheus_samples import samples
from tests.support.redis_server import Store
from tests.support.service_harness import Service, World, wait_until

QUEUE, WORKERS = ("touchline_queue_length", "ml"), ("touchline_active_workers", "ml")
MODEL = ("touchline_model_loaded", "match-outcome")


def test_unknown_metrics_are_nan_until_the_dependency_is_back(master: World, tmp_path: Path) -> None:
    """The dependency is the broker or the result backend."""
    broker, results = Store(tmp_path / "broker"), Store(tmp_path / "results")
    broker.start()
    results.start()
    service = Service(master, f"{broker.url}/0", f"{results.url}/0", tmp_path)

    def gauges() -> tuple[float, ...]:
        metrics = samples(httpx.get(f"{service.url}/metrics", timeout=30).text)
        return tuple(metrics.get(name, -1.0) for name in (QUEUE, WORKERS, MODEL))

    def unknown() -> list[bool]:
        return [math.isnan(value) for value in gauges()]

    try:
        service.start_api()
        assert gauges() == (0, 0, 0)
        results.kill()
        assert unknown() == [False, True, True]
        results.start()
        wait_until(lambda: gauges() == (0, 0, 0))
        broker.kill()
        assert unknown() == [True, False, False]
        broker.start()
        wait_until(lambda: gauges() == (0, 0, 0))
    finally:
        service.stop()
        broker.kill()
        results.kill()
