"""While the registry hangs or is away, callers get forecasts or the reason, and workers still read new states."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from features.io.sources.bundled import COMPETITION
from features.rating_history import STATES
from tests.support.mlflow_server import Tracking
from tests.support.ports import free_port
from tests.support.prometheus_samples import samples
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
pytestmark = pytest.mark.slow


@pytest.fixture
def tracking(world: World, tmp_path: Path) -> Iterator[Tracking]:
    server = Tracking(world.tracking_uri, tmp_path)
    yield server
    server.kill()


@pytest.fixture
def service(world: World, valkey: str, tracking: Tracking, tmp_path: Path) -> Iterator[Service]:
    extra = {"TOUCHLINE_WORKER_METRICS_PORT": str(free_port())}
    running = Service(tracking.seen_from(world), f"{valkey}/8", f"{valkey}/9", tmp_path, extra)
    running.start_api()
    running.start_worker()
    yield running
    running.stop()


def test_without_a_registry_the_reason_is_told_and_with_one_again_forecasts_and_fresh_states(
    world: World, tracking: Tracking, request: pytest.FixtureRequest
) -> None:
    with socket.create_server(("127.0.0.1", tracking.port)):  # accepts connections and never answers
        service: Service = request.getfixturevalue("service")
        with httpx.Client(base_url=service.url, timeout=40) as client:
            wait_until(lambda: client.get("/monitoring/celery/workers").json()["items"])
            wait_until(lambda: client.get("/teams").json()["items"])
            answer = wait_until(lambda: _model_unavailable(client))
            assert answer.elapsed.total_seconds() < 15
            ready = client.get("/healthcheck/ready")
            assert (ready.status_code, ready.json()["parts"]["model"]["ok"]) == (503, False)
            assert client.get("/healthcheck/").status_code == 200
            metrics = samples(client.get("/metrics").text)
            assert metrics["touchline_errors_total", "model_unavailable"] >= 1
            assert metrics["touchline_model_loaded", "match-outcome"] == 0
    tracking.start()
    with httpx.Client(base_url=service.url, timeout=40) as client:
        wait_until(lambda: client.post("/predict", json=PAIR).status_code == 200, 30)
        for number, fault in enumerate((tracking.hang, tracking.kill)):
            fault()
            as_of = pd.Timestamp(f"2026-03-1{number}T21:00Z")
            states = world.lake.read_table("team_states", COMPETITION, schema=STATES)
            world.lake.write_table("team_states", COMPETITION, states.assign(features_as_of=as_of), STATES)
            wait_until(lambda: _as_of(client) == as_of, 10)  # noqa: B023 - called at once
        swaps = wait_until(lambda: _swaps(client, service) if "failure" in _swaps(client, service) else None)
        assert swaps["success"] == 1


def _swaps(client: httpx.Client, service: Service) -> dict[str, float]:
    """The number of model loads by outcome; the child reports them to the worker with its answers."""
    assert client.post("/predict", json=PAIR).status_code == 200
    text = httpx.get(f"http://127.0.0.1:{service.extra['TOUCHLINE_WORKER_METRICS_PORT']}/metrics").text
    return {key[1]: value for key, value in samples(text).items() if key[0] == "touchline_model_reloads_total"}


def _model_unavailable(client: httpx.Client) -> httpx.Response | None:
    """The answer if it says `Model unavailable`; until a worker is up, it gives another reason."""
    answer = client.post("/predict", json=PAIR)
    assert answer.status_code == 503, answer.text
    return answer if answer.json()["title"] == "Model unavailable" else None


def _as_of(client: httpx.Client) -> pd.Timestamp:
    """The `features_as_of` of a new forecast; the request for it must succeed."""
    answer = client.post("/predict", json=PAIR)
    assert answer.status_code == 200, answer.text
    return pd.Timestamp(answer.json()["features_as_of"])
