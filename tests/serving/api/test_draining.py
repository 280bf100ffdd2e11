"""A process that is about to end sends its clients elsewhere and still answers them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
PROCESSES = 2


@pytest.fixture(scope="module")
def drain_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("drain") / "draining"
    file.touch()  # left by a container that ended before in the same pod
    return file


@pytest.fixture(scope="module")
def service(
    master: World, valkey: str, drain_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service of two API processes that follow a drain file."""
    extra = {"TOUCHLINE_DRAIN_FILE": str(drain_file), "TOUCHLINE_API_PROCESSES": str(PROCESSES)}
    service = Service(master, f"{valkey}/10", f"{valkey}/11", tmp_path_factory.mktemp("draining"), extra)
    service.start_api()
    service.start_worker()
    service.wait_ready()
    yield service
    service.stop()


def _readiness(service: Service) -> httpx.Response:
    return httpx.get(f"{service.url}/healthcheck/ready", timeout=20)


def test_a_leftover_file_does_not_keep_a_new_process_from_being_ready(service: Service, drain_file: Path) -> None:
    assert not drain_file.exists()
    assert _readiness(service).status_code == 200


def test_while_draining_requests_are_answered_and_their_connections_closed(service: Service, drain_file: Path) -> None:
    """Also on connections that were open before."""
    with httpx.Client(base_url=service.url, timeout=20) as client:
        assert client.post("/predict", json=PAIR).headers.get("connection") != "close"
        drain_file.touch()
        try:
            # Several in a row: each may be answered by another process.
            wait_until(lambda: all(_readiness(service).status_code == 503 for _ in range(8 * PROCESSES)))
            for method, path, status in (
                ("POST", "/predict", 200),
                ("GET", "/teams", 200),
                ("GET", "/no/such/path", 404),
                ("GET", "/healthcheck/", 200),
            ):
                answer = client.request(method, path, json=PAIR if method == "POST" else None)
                assert (answer.status_code, answer.headers["connection"]) == (status, "close"), path
            unready = _readiness(service).json()
            assert {name for name, part in unready["parts"].items() if not part["ok"]} == {"process"}
            assert _is_closed_after_a_response(service.port)
        finally:
            drain_file.unlink()
        wait_until(lambda: all(_readiness(service).status_code == 200 for _ in range(8 * PROCESSES)))
        assert client.post("/predict", json=PAIR).headers.get("connection") != "close"


def _is_closed_after_a_response(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET /healthcheck/ HTTP/1.1\r\nhost: x\r\n\r\n")
        received = b""
        while data := connection.recv(65536):
            received += data
    return received.startswith(b"HTTP/1.1 200")
