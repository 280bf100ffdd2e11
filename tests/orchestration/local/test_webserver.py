"""The webserver that a local run starts: other web pages neither start runs nor read along."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from orchestration.local.services import LocalSettings, child_environment, prepare, services_of
from tests.support.dagster_daemon import end
from tests.support.raw_http import RawConnection

JOB = """
import dagster as dg

@dg.op
def step() -> None: ...

@dg.job
def harmless(): step()

defs = dg.Definitions(jobs=[harmless])
"""
LAUNCH = """mutation { launchRun(executionParams: {runConfigData: {}, selector: {pipelineName: "harmless",
 repositoryName: "__repository__", repositoryLocationName: "jobs.py"}}) {
 __typename ... on PythonError { message } } }"""
RUNS = "{ runsOrError { ... on Runs { results { status } } } }"
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, repository: Path, free_port: Callable[[], int]) -> Iterator[int]:
    """The command of the Procfile, on a workspace of one small job."""
    home = tmp_path_factory.mktemp("home")
    (home / "jobs.py").write_text(JOB)
    settings = LocalSettings(home=home, dagster_port=free_port())
    prepare(settings)
    command = services_of(settings)["dagster"].replace("-w workspace.yaml", f"-f {home}/jobs.py")
    environment = {**child_environment(settings), "TOUCHLINE_DAGSTER_HOSTS": "touchline.example"}
    with (home / "dagster.log").open("wb") as log:
        started = subprocess.Popen(
            ["/bin/sh", "-c", command], env=environment, cwd=repository, stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not _answers(settings.dagster_port):
                assert started.poll() is None, (home / "dagster.log").read_text()[-3000:]
                assert time.monotonic() < deadline, (home / "dagster.log").read_text()[-3000:]
                time.sleep(0.5)
            yield settings.dagster_port
        finally:
            end(started)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _runs(port: int) -> int:
    answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": RUNS}, timeout=30).json()
    return len(answer["data"]["runsOrError"]["results"])


@pytest.mark.service
@pytest.mark.medium
def test_no_other_page_starts_a_run(port: int) -> None:
    """A GET without a word about its origin, forms, requests across origins, and a foreign name that points here."""
    address = f"http://127.0.0.1:{port}/graphql"
    foreign = {"Origin": "https://evil.example"}
    with httpx.Client(timeout=30) as client:
        answers = [
            client.get(address, params={"query": LAUNCH}),
            client.post(address, params={"query": LAUNCH}, headers={**foreign, "Content-Type": "text/plain"}),
            client.post(address, json={"query": LAUNCH}, headers=foreign),
            client.post(address, json={"query": LAUNCH}, headers={"Sec-Fetch-Site": "cross-site"}),
            client.post(address, json={"query": LAUNCH}, headers={"Host": f"evil.example:{port}"}),
            client.post(f"http://127.0.0.1:{port}/report_asset_materialization/table", headers=foreign),
        ]
        assert [answer.status_code for answer in answers] == [403] * len(answers)
        assert "evil.example" in answers[2].text
        assert _runs(port) == 0
        own = client.post(address, json={"query": LAUNCH}, headers={"Origin": f"http://127.0.0.1:{port}"}).json()
        assert own["data"]["launchRun"]["__typename"] == "LaunchRunSuccess"
    assert _runs(port) == 1


@pytest.mark.service
@pytest.mark.medium
def test_pages_are_shown_but_not_in_frames_of_others(port: int) -> None:
    for host in (f"127.0.0.1:{port}", "touchline.example"):
        page = httpx.get(f"http://127.0.0.1:{port}/runs", headers={"Host": host}, timeout=30)
        assert page.status_code == 200
        assert page.headers["x-frame-options"] == "SAMEORIGIN"


@pytest.mark.service
@pytest.mark.medium
@pytest.mark.parametrize(("origin", "status"), [("http://127.0.0.1:{port}", 101), ("https://evil.example", 403)])
def test_other_pages_subscribe_to_nothing(port: int, origin: str, status: int) -> None:
    """Browsers let every page open a websocket and read what comes."""
    with RawConnection(port) as connection:
        connection.send(
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {origin.format(port=port)}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-ws\r\n\r\n".encode()
        )
        assert connection.response().status == status
