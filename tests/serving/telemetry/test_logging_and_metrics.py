"""Metrics count what the service does, and spans reach the collector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from serving.wire.tasks import PREDICT_ASYNC, PREDICT_COLUMNS
from tests.support.otlp_collector import Collector, Span
from tests.support.ports import free_port
from tests.support.prometheus_samples import samples
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}


@pytest.fixture(scope="module")
def observed(
    master: World, brokers: Callable[[int], tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Collector, int]]:
    """A service whose worker exposes metrics and whose spans are collected."""
    folder: Path = tmp_path_factory.mktemp("observed")
    collector, metrics_port = Collector(), free_port()
    extra = {
        "TOUCHLINE_OTLP_ENDPOINT": collector.url,
        "TOUCHLINE_WORKER_METRICS_PORT": str(metrics_port),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
    }
    (folder / "metrics").mkdir()
    service = Service(master, *brokers(6), folder, extra)
    service.start_api()
    service.start_worker()
    service.wait_ready()
    yield service, collector, metrics_port
    service.stop()
    collector.close()


def test_each_metric_tells_what_was_done(observed: tuple[Service, Collector, int]) -> None:
    service, _, metrics_port = observed
    with httpx.Client(base_url=service.url, timeout=60) as client:
        for _ in range(3):
            assert client.post("/predict", json=PAIR).status_code == 200
        assert client.post("/predict/batch", json={"matches": [PAIR] * 10}).status_code == 200
        assert client.post("/predict", json={**PAIR, "home_team": "Atlantis"}).status_code == 422
        assert client.get("/no/such/path").status_code == 404
        api = wait_until(lambda: samples(client.get("/metrics").text))
    assert api["touchline_requests_total", "POST", "/predict", "200"] == 3
    assert api["touchline_requests_total", "POST", "/predict", "422"] == 1
    assert api["touchline_requests_total", "GET", "unmatched", "404"] == 1
    assert api["touchline_request_duration_seconds_count", "POST", "/predict"] == 4
    assert api["touchline_errors_total", "invalid_input"] == 1
    assert api["touchline_queue_length", "ml"] == 0
    assert api["touchline_active_workers", "ml"] == 1
    assert api["touchline_model_loaded", "match-outcome"] == 1
    assert api["touchline_model_version", "match-outcome"] == 1
    worker = samples(httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text)
    for metrics in (api, worker):  # processes that share a metrics folder all report the sum
        predicted = {key[1]: value for key, value in metrics.items() if key[0] == "touchline_predictions_total"}
        assert predicted == {"sync": 3, "batch": 10}
        assert metrics["touchline_batch_size_matches_sum",] == 13
        for stage in ("queue", "features", "model"):
            assert metrics["touchline_stage_duration_seconds_count", stage] >= 1


@pytest.mark.parametrize(
    ("path", "task", "body"),
    [
        ("/predict", PREDICT_COLUMNS, PAIR),
        ("/predict/async", PREDICT_ASYNC, PAIR),
        ("/predict/batch", PREDICT_COLUMNS, {"matches": [PAIR] * 3}),
    ],
    ids=["one", "later", "many"],
)
def test_one_trace_goes_through_api_broker_and_worker(
    observed: tuple[Service, Collector, int], path: str, task: str, body: dict[str, object]
) -> None:
    service, collector, _ = observed
    trace = uuid4().hex
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    assert httpx.post(f"{service.url}{path}", json=body, headers=headers, timeout=60).status_code in {200, 202}

    def whole_trace() -> dict[str, Span] | None:
        spans_by_name = {span.name: span for span in collector.spans if span.trace == trace}
        return spans_by_name if len(spans_by_name) == 3 else None

    spans = wait_until(whole_trace)
    request, publish, run = spans[f"POST {path}"], spans["publish"], spans[f"run {task}"]
    assert (request.service, run.service) == ("touchline-api", "touchline-worker")
    assert request.parent == "b7ad6b7169203331"
    assert publish.parent == request.id
    assert run.parent == publish.id


def test_spans_are_named_after_the_route_and_not_after_the_path(observed: tuple[Service, Collector, int]) -> None:
    service, collector, _ = observed
    httpx.get(f"{service.url}/predict/eng-premier-league-2025-26-arsenal-chelsea")
    httpx.get(f"{service.url}/some/thing/else")
    names = wait_until(lambda: _names(collector) if "GET /predict/{match_id}" in _names(collector) else None)
    assert "GET" in names
    assert not [name for name in names if "arsenal" in name or "thing" in name]


def _names(collector: Collector) -> set[str]:
    return {span.name for span in collector.spans}
