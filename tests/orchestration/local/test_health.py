"""Whether services answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orchestration.local.health import HealthMonitor, answers, code_location_answers


def locations(*entries: dict[str, object]) -> bytes:
    return json.dumps({"data": {"workspaceOrError": {"locationEntries": list(entries)}}}).encode()


UNREACHABLE = {"__typename": "PythonError", "message": "DagsterUserCodeUnreachableError: no answer\nand a stack"}


class Webserver:
    """A server whose answer a test sets."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def webserver() -> Iterator[Webserver]:
    running = Webserver()
    yield running
    running.server.shutdown()
    running.server.server_close()


def test_any_answer_is_a_sign_of_life(webserver: Webserver, free_port: Callable[[], int]) -> None:
    """An API that is not ready must not be started again; one that nothing answers for must."""
    webserver.status = 503
    assert answers(webserver.url)() is None
    assert "does not answer" in (answers(f"http://127.0.0.1:{free_port()}")() or "")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (locations({"name": "touchline", "locationOrLoadError": {"__typename": "RepositoryLocation"}}), None),
        (locations({"name": "touchline", "locationOrLoadError": None}), None),
        (locations({"name": "touchline", "locationOrLoadError": UNREACHABLE}), "touchline is unreachable"),
        (b'{"errors": []}', "does not answer"),
        (b"<html>", "does not answer"),
    ],
)
def test_dagster_needs_its_code_server(webserver: Webserver, body: bytes, problem: str | None) -> None:
    """Its webserver answers although the process that holds our code is gone."""
    webserver.body = body
    found = code_location_answers(webserver.url)()
    assert found is None if problem is None else problem in str(found)


def test_service_that_has_never_answered_is_starting() -> None:
    """A slow start is not a failure; a later silence is, until the service is started again."""
    answered = threading.Event()
    checked = threading.Semaphore(0)

    def check() -> str | None:
        checked.release()
        return None if answered.is_set() else "silent"

    monitor = HealthMonitor({"api": check}, check_seconds=0.001, unhealthy_seconds=0)
    monitor.start()
    wait_for(checked, 5)
    assert monitor.unhealthy() == {}
    answered.set()
    wait_for(checked, 5)
    assert monitor.unhealthy() == {}
    answered.clear()
    wait_for(checked, 5)
    assert monitor.unhealthy() == {"api": "silent"}
    monitor.stop()


def wait_for(checked: threading.Semaphore, times: int) -> None:
    for _ in range(times):
        assert checked.acquire(timeout=20)
