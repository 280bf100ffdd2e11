"""What every test may ask for: things that need not be on the machine, and the match files beside the checkout."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from tests.support import ports

if TYPE_CHECKING:
    from features.io.store import Lake

pytest_plugins = ["tests.support.service_fixtures"]

REPOSITORY = Path(__file__).resolve().parents[1]

LONGEST_FIRST = ("e2e", "orchestration", "serving", "helm", "monitoring", "ui")
"""Folders whose files begin first, so that no process of a parallel run is left alone with the last long one."""


SERVICE_FIXTURES = frozenset(
    {"fresh", "installed", "master", "open_browser", "prometheus", "rabbit", "redis", "service", "valkey"}
)
"""Fixtures behind which are brokers, processes of ours, a browser, or a pipeline run."""


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses services, and sort the tests by folder; the order inside a folder stays."""
    for item in items:
        if SERVICE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("service")
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(REPOSITORY / "tests").parts[0], len(rank)))


def require_or_skip(condition: object, reason: str) -> None:
    """Go on if `condition` holds; otherwise skip with the reason, or fail where CI=true: all is installed there."""
    if condition:
        return
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"under CI this must not be skipped: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _events_go_to_the_present_standard_error() -> Iterator[None]:
    """Loggers kept from one test would write to what pytest captured for it, which is closed in the next one."""

    def configure(**options: Any) -> None:
        options |= {"cache_logger_on_first_use": False, "logger_factory": lambda *_: structlog.PrintLogger(sys.stderr)}
        original(**options)

    original = structlog.configure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", configure)
        yield


@pytest.fixture(autouse=True)
def _files_are_readable_as_before() -> Iterator[None]:
    """`touchline up`, called in the process of a test, makes new files readable for their owner only."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def require() -> Callable[[object, str], None]:
    """`require(condition, reason)`: skip with the reason, or fail under CI."""
    return require_or_skip


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder `shared` beside the checkout: schemas and match files that are not ours to redistribute."""
    folder = REPOSITORY.parent / "shared"
    require_or_skip(
        folder.is_dir(), "no folder `shared` beside the checkout: its match files are not part of the project"
    )
    return folder


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """Real match files of football-data.co.uk and openfootball, and the known-defective ones."""
    return shared / "data"


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a function that gives a port on loopback that nothing listens on."""
    return ports.free_port


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Address of an S3 API server on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_lake(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lake:
    """A lake in a bucket of its own, reached through settings alone."""
    import boto3

    from features.io.settings import Settings
    from features.io.store import Lake

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bucket = tmp_path.name.replace("_", "-").lower()[:60].strip("-")
    boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1").create_bucket(Bucket=bucket)
    return Lake(Settings(lake=f"s3://{bucket}/lake", s3_endpoint=s3_endpoint).lake_root)


class Site:
    """A web server on loopback that hands out files, answers conditional requests, and fails when it is told to.

    Files by path; `failures` answers that many requests with 503 first; `asked` records each request's status.

    `modified` makes it a site that knows no ETags but when its files changed; `drip` seconds lie before each byte.

    `failure_headers` are sent with each 503; `answers` are sent as they are, by path: status, headers and body.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.failures = 0
        self.failure_headers: dict[str, str] = {}
        self.drip = 0.0
        self.modified = ""
        self.asked: list[tuple[str, int]] = []
        self.url = ""

    def answer(self, path: str, condition: str | None) -> tuple[int, bytes]:
        if self.failures:
            self.failures -= 1
            return 503, b"busy"
        if path not in self.files:
            return 404, b"not here"
        if condition == self.condition(path)[1]:
            return 304, b""
        return 200, self.files[path]

    def condition(self, path: str) -> tuple[str, str]:
        """Header by which an unchanged file is told, and its value."""
        if self.modified:
            return "Last-Modified", self.modified
        return "ETag", f'"{hashlib.sha256(self.files[path]).hexdigest()}"'


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = "If-Modified-Since" if state.modified else "If-None-Match"
            status, body = state.answer(self.path, self.headers.get(asked))
            headers = state.failure_headers if status == 503 else {}
            if status in (200, 304):
                headers = dict([state.condition(self.path)])
            if self.path in state.answers:
                status, headers, body = state.answers[self.path]
            state.asked.append((self.path, status))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for byte in [body[i : i + 1] for i in range(len(body))] if state.drip else [body]:
                    time.sleep(state.drip)
                    self.wfile.write(byte)
            except OSError:  # the client has given up
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
