"""Nothing is computed for callers who left; requests beyond the capacity are shed, admitted ones are answered."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import psutil
import pytest

from tests.support.openapi_assertions import documented
from tests.support.prometheus_samples import samples
from tests.support.rabbitmq_server import Rabbit
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
PATIENCE = 6.0
pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def impatient(
    master: World, rabbit: Rabbit, valkey: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service on RabbitMQ whose callers wait six seconds."""
    extra = {"TOUCHLINE_SYNC_TIMEOUT_SECONDS": str(PATIENCE), "TOUCHLINE_SHED_ABOVE_WAIT_SECONDS": "0.3"}
    service = Service(master, rabbit.url, f"{valkey}/9", tmp_path_factory.mktemp("impatient"), extra)
    service.start_api()
    service.start_worker()
    service.wait_ready()
    yield service
    service.stop()


def _child(service: Service) -> psutil.Process:
    return psutil.Process(service.processes["worker"].pid).children()[0]


@pytest.fixture
def stopped(impatient: Service) -> Iterator[psutil.Process]:
    """The worker's child, which takes no work until it is resumed."""
    child = _child(impatient)
    with ExitStack() as stack:
        child.suspend()
        stack.callback(child.resume)
        yield child


def test_after_504_the_task_is_not_computed(impatient: Service, stopped: psutil.Process) -> None:
    started = time.monotonic()
    answers = [
        httpx.post(f"{impatient.url}/predict", json=PAIR, headers={"X-Request-ID": name}, timeout=20)
        for name in ("held-by-the-child", "left-behind")
    ]
    assert [answer.status_code for answer in answers] == [504, 504]
    assert answers[1].json()["title"] == "No answer in time"
    documented(impatient.url, "/predict", answers[1])
    assert 2 * PATIENCE - 0.5 < time.monotonic() - started < 2 * PATIENCE + 6
    assert httpx.get(f"{impatient.url}/healthcheck/").status_code == 200
    stopped.resume()
    _asks(impatient, "afterwards")
    assert "left-behind" not in _answered(impatient)
    text = httpx.get(f"{impatient.url}/metrics").text
    assert 'touchline_timeouts_total{route="/predict"} 2.0' in text


def test_a_client_that_hangs_up_is_not_computed_for(impatient: Service, stopped: psutil.Process) -> None:
    service = impatient
    body = json.dumps(PAIR).encode()
    for name in ("holds-the-child", "hung-up"):
        head = (
            f"POST /predict HTTP/1.1\r\nhost: x\r\nx-request-id: {name}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", service.port), 10) as leaving:
            leaving.sendall(head.encode() + body)
            time.sleep(0.2)
    wait_until(
        lambda: 'touchline_errors_total{kind="client_disconnected"} 2.0' in httpx.get(f"{service.url}/metrics").text
    )
    time.sleep(0.5)  # the revocation reaches the worker
    stopped.resume()
    _asks(service, "after-hanging-up")
    assert "hung-up" not in _answered(service)


CLIENTS = 20
PAUSE_SECONDS = 1.0
"""How long the worker computes nothing: longer than the wait above which requests are shed."""


@pytest.mark.exclusive
def test_under_more_than_can_be_answered_who_is_let_in_is_answered_in_time(impatient: Service) -> None:
    """Clients that always ask again, a worker that pauses, and a request late in every pause."""
    whole = {"matches": [PAIR] * 1000}
    child = _child(impatient)

    async def flood() -> tuple[Counter[int], set[str]]:
        statuses: Counter[int] = Counter()
        retry: set[str] = set()
        until = time.monotonic() + 15

        async def ask(client: httpx.AsyncClient) -> None:
            answer = await client.post("/predict/batch", json=whole)
            statuses[answer.status_code] += 1
            if answer.status_code == 503:
                retry.add(answer.headers["retry-after"])
                await asyncio.sleep(0.2)

        async def keep_asking(client: httpx.AsyncClient) -> None:
            while time.monotonic() < until:
                await ask(client)

        async def pause_worker(client: httpx.AsyncClient) -> None:
            while time.monotonic() < until:
                child.suspend()
                await asyncio.sleep(PAUSE_SECONDS)
                late = asyncio.create_task(ask(client))
                await asyncio.sleep(0.2)
                child.resume()
                await late
                await asyncio.sleep(0.25)

        async with httpx.AsyncClient(base_url=impatient.url, timeout=30) as client:
            await asyncio.gather(pause_worker(client), *(keep_asking(client) for _ in range(CLIENTS)))
        return statuses, retry

    statuses, retry = asyncio.run(flood())
    assert set(statuses) == {200, 503}, statuses
    assert statuses[200] > 0
    assert all(1 <= int(seconds) <= 30 for seconds in retry)
    _asks(impatient, "after-the-flood")
    metrics = samples(httpx.get(f"{impatient.url}/metrics").text)
    assert 1 <= metrics["touchline_shed_requests_total", "/predict/batch"] <= statuses[503]


@pytest.mark.slow
def test_nothing_is_computed_for_callers_of_an_api_that_was_killed_once_their_patience_is_over(
    impatient: Service, stopped: psutil.Process
) -> None:
    assert httpx.post(f"{impatient.url}/predict/async/", json=PAIR, timeout=20).status_code == 202  # holds the child
    api = impatient.processes["api"]
    with ThreadPoolExecutor() as pool:
        headers = {"X-Request-ID": "orphaned"}
        request = pool.submit(httpx.post, f"{impatient.url}/predict", json=PAIR, headers=headers, timeout=20)
        time.sleep(1)
        api.kill()
        api.wait()
        assert isinstance(request.exception(), httpx.HTTPError)  # it was admitted
    time.sleep(PATIENCE + 0.5)  # no API is left to revoke the task, so it must expire by itself
    impatient.start_api()
    stopped.resume()
    _asks(impatient, "after-the-kill")
    assert "orphaned" not in _answered(impatient)


def _asks(service: Service, name: str) -> None:
    def asks() -> bool:
        headers = {"X-Request-ID": name}
        return httpx.post(f"{service.url}/predict", json=PAIR, headers=headers, timeout=20).status_code == 200

    wait_until(asks, 20)
    wait_until(lambda: name in _answered(service), 20)  # it is logged after it is answered


def _answered(service: Service) -> set[str]:
    """Request ids that the worker computed something for."""
    lines = (service.folder / "worker.log").read_text().splitlines()
    documents = [json.loads(line) for line in lines if line.startswith("{")]
    executed = [document for document in documents if document["event"] == "tasks.executed"]
    return {request_id for document in executed for request_id in document["request_ids"]}
