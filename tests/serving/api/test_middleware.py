"""Every response has the usual headers and log line, even if its request failed or crashed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from serving.api.dispatch.admission import NO_WORKERS_GRACE_SECONDS
from tests.support.service_harness import Service, World, wait_until

ORIGIN = "https://example.org"


@pytest.fixture(scope="module")
def crashing(master: World, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An API without workers, one of whose endpoints crashes."""
    extra = {"TOUCHLINE_CORS_ORIGINS": ORIGIN}
    service = Service(master, f"{valkey}/8", f"{valkey}/9", tmp_path_factory.mktemp("crashing"), extra)
    service.start("api", "tests.support.crashing_api")
    wait_until(lambda: httpx.get(f"{service.url}/teams").json()["items"])
    yield service
    service.stop()


def test_a_crash_is_a_problem_with_all_usual_headers(crashing: Service) -> None:
    """The response has the request id and the CORS headers, but not the exception's text."""
    answer = httpx.get(f"{crashing.url}/crash", headers={"Origin": ORIGIN, "X-Request-ID": "crash-1"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "crash-1"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "secret" not in answer.text
    log_lines = _logged(crashing, "crash-1")
    assert [line["event"] for line in log_lines] == ["request.crashed"]
    assert "a secret of the house" in log_lines[0]["exception"]
    metrics = httpx.get(f"{crashing.url}/metrics").text
    assert 'touchline_errors_total{kind="internal"} 1.0' in metrics
    assert 'touchline_requests_total{method="GET",route="/crash",status="500"} 1.0' in metrics


def test_a_failed_request_is_logged_under_its_id(crashing: Service) -> None:
    """The log line has the id of the response."""
    wait_until(lambda: httpx.get(f"{crashing.url}/healthcheck/ready").status_code == 503)
    time.sleep(NO_WORKERS_GRACE_SECONDS + 1)  # a worker that only restarts is waited for
    answer = httpx.post(f"{crashing.url}/predict", json={"home_team": "Arsenal", "away_team": "Chelsea"}, timeout=40)
    assert answer.status_code == 503
    (line,) = _logged(crashing, answer.headers["x-request-id"])
    assert (line["event"], line["level"], line["status"]) == ("request.failed", "warning", 503)
    assert line["error"] == answer.json()["detail"]


REFUSED = {
    "unknown club": ("POST", "/predict", {"home_team": "Arsenal", "away_team": "Atlantis"}),
    "unknown field": ("POST", "/predict", {"home": "Arsenal"}),
    "unknown path": ("GET", "/no/such/path", None),
    "unknown match": ("GET", "/matches/eng-premier-league-1888-89-a-b", None),
    "wrong method": ("DELETE", "/predict", None),
    "large body": ("POST", "/predict", {"home_team": "A" * 1_100_000}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_request_is_logged_under_its_id(crashing: Service, case: str) -> None:
    """The runbook looks up the request id of a problem document in the logs."""
    method, path, body = REFUSED[case]
    answer = httpx.request(method, f"{crashing.url}{path}", json=body)
    assert 400 <= answer.status_code < 500
    (line,) = wait_until(lambda: _logged(crashing, answer.json()["request_id"]))
    assert (line["event"], line["level"], line["status"]) == ("request.refused", "info", answer.status_code)
    assert (line["method"], line["path"], line["problem"]) == (method, path, answer.json().get("type", "about:blank"))
    assert line["detail"] == answer.json()["detail"][:300]


def _logged(service: Service, request_id: str) -> list[dict[str, Any]]:
    lines = (service.folder / "api.log").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line.get("request_id") == request_id]
