"""What an operator sees: each metric is driven and read back; spans go where the collector is."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tests.serving.stage import Service, World, port, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}


class Collector:
    """An OTLP collector that remembers."""

    def __init__(self) -> None:
        self.port = port()
        self.spans: list[tuple[str, str, bytes, bytes, bytes]] = []
        spans = self.spans

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    service = resource.resource.attributes[0].value.string_value
                    for scope in resource.scope_spans:
                        for one in scope.spans:
                            spans.append((service, one.name, one.trace_id, one.span_id, one.parent_span_id))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def observed(
    master: World, brokers: Callable[[int], tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Collector, int]]:
    """A service whose worker exposes metrics and whose spans are collected."""
    folder: Path = tmp_path_factory.mktemp("observed")
    collector, metrics_port = Collector(), port()
    extra = {
        "TOUCHLINE_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "TOUCHLINE_WORKER_METRICS_PORT": str(metrics_port),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
    }
    (folder / "metrics").mkdir()
    service = Service(master, *brokers(6), folder, extra)
    service.start_api()
    service.start_worker()
    service.wait_ready(180)
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
        api = wait_until(lambda: _samples(client.get("/metrics").text))
    assert api["touchline_requests_total", "POST", "/predict", "200"] == 3
    assert api["touchline_requests_total", "POST", "/predict", "422"] == 1
    assert api["touchline_requests_total", "GET", "unmatched", "404"] == 1
    assert api["touchline_request_duration_seconds_count", "POST", "/predict"] == 4
    assert api["touchline_errors_total", "invalid_input"] == 1
    assert api["touchline_queue_length", "ml"] == 0
    assert api["touchline_active_workers", "ml"] == 1
    assert api["touchline_model_loaded", "match-outcome"] == 1
    assert api["touchline_model_version", "match-outcome"] == 1
    worker = _samples(httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text)
    for found in (api, worker):  # processes that share a folder of metrics tell the sum, whichever is asked
        predicted = {key[1]: value for key, value in found.items() if key[0] == "touchline_predictions_total"}
        assert predicted == {"sync": 3, "batch": 10}
        assert found["touchline_batch_size_matches_sum",] == 13
        for stage in ("queue", "features", "model"):
            assert found["touchline_stage_duration_seconds_count", stage] >= 1


def test_one_trace_goes_through_api_broker_and_worker(observed: tuple[Service, Collector, int]) -> None:
    service, collector, _ = observed
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    assert httpx.post(f"{service.url}/predict", json=PAIR, headers=headers, timeout=60).status_code == 200

    def whole() -> dict[str, tuple[str, str, bytes, bytes, bytes]] | None:
        found = {span[1]: span for span in collector.spans if span[2].hex() == trace}
        return found if len(found) == 3 else None

    spans = wait_until(whole)
    request, publish, run = spans["POST /predict"], spans["publish"], spans["run serving.predict_together"]
    assert (request[0], run[0]) == ("touchline-api", "touchline-worker")
    assert request[4].hex() == "b7ad6b7169203331"
    assert publish[4] == request[3]
    assert run[4] == publish[3]


def _samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and label values; a label that takes any value is left out of histograms by their suffix."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }
