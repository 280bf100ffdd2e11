"""Limits on connections that only waste resources, tested byte by byte."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from serving.api.connection_limits import CLOSING_SHARE, MIN_IDLE_SECONDS, PROBE_PLACES
from tests.support.service_harness import Service, World, wait_until

PATIENCE = 1.0
KEEP_ALIVE = 9
CONNECTIONS = 30
REPORT = "reports/drift/week=2026-01-05/report.html"
ASK = b"GET /healthcheck/ HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def impatient(master: World, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An API without workers that waits one second for clients and allows thirty connections."""
    extra = {
        "TOUCHLINE_HTTP_IO_TIMEOUT_SECONDS": str(PATIENCE),
        "TOUCHLINE_MAX_CONNECTIONS": str(CONNECTIONS),
        "TOUCHLINE_KEEP_ALIVE_SECONDS": str(KEEP_ALIVE),
    }
    service = Service(master, f"{valkey}/10", f"{valkey}/11", tmp_path_factory.mktemp("impatient"), extra)
    service.start_api()
    yield service
    service.stop()


def _connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), 20)


def _rest(raw: socket.socket) -> bytes:
    """Return everything received until the other side closes."""
    parts = []
    try:
        while part := raw.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def _answer(raw: socket.socket) -> bytes:
    """The answer to ASK, head and body."""
    answer = b""
    while not answer.endswith(b'{"status":"ok"}'):
        part = raw.recv(65536)
        assert part, answer
        answer += part
    return answer


def _refusal(answer: bytes, status: int) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert b"content-type: application/problem+json" in head
    document: dict[str, object] = json.loads(body)
    assert document["status"] == status
    return document


def test_a_head_that_trickles_in_is_rejected(impatient: Service) -> None:
    """Each byte arrives in time, but the whole head does not."""
    started = time.monotonic()
    with _connect(impatient) as raw:
        raw.sendall(b"GET /healthcheck/ HTTP/1.1\r\n")
        raw.settimeout(0.1)
        answer = b""
        while not answer and time.monotonic() - started < 10:
            raw.sendall(b"x-drip: drop\r\n")
            try:
                answer = raw.recv(65536)
            except TimeoutError:
                continue
    _refusal(answer, 408)
    assert PATIENCE * 0.9 < time.monotonic() - started < PATIENCE + 3


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"G"], ids=["nothing", "an empty line", "one letter"])
@pytest.mark.parametrize("before", [False, True], ids=["at first", "after an answer"])
def test_a_connection_that_asks_for_nothing_is_closed(impatient: Service, sent: bytes, before: bool) -> None:
    with _connect(impatient) as raw:
        if before:
            raw.sendall(ASK)
            assert _answer(raw).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        raw.sendall(sent)
        _rest(raw)
        assert time.monotonic() - started < KEEP_ALIVE + 3


def test_split_heads_and_pipelined_requests_are_answered(impatient: Service) -> None:
    """The limits do not affect clients that behave well."""
    with _connect(impatient) as raw:
        for _ in range(3):
            raw.sendall(ASK[:20])
            time.sleep(0.2)
            raw.sendall(ASK[20:])
            assert _answer(raw).startswith(b"HTTP/1.1 200")
            time.sleep(PATIENCE * 1.2)  # the timer of the previous head no longer runs


def test_two_requests_sent_at_once_are_both_answered(impatient: Service) -> None:
    with _connect(impatient) as raw:
        raw.sendall(ASK + ASK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        assert _rest(raw).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthcheck/ HTTP/1.1\r\nhost: x\r\nx-large: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /healthcheck/ HTTP/1.1\r\nhost: x\r\nx-endless: " + b"a" * 200_000,
        b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthcheck/ HTTP/1.1\r\nhost: x\r\n" + b"x: y\r\n" * 200 + b"\r\n",
    ],
    ids=["a large header", "one without end", "a long address", "many headers"],
)
def test_a_head_that_is_too_large_is_refused(impatient: Service, head: bytes) -> None:
    with _connect(impatient) as raw:
        raw.sendall(head)
        _refusal(_rest(raw), 431)


@pytest.mark.parametrize(
    "sent",
    [
        b"these are no words of HTTP\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50 + b"\r\n\r\n",
        b"GET /healthcheck/ HTTP/1.1\r\nhost x\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n",
    ],
    ids=["prose", "a handshake of TLS", "a header without a colon", "a length that is no number"],
)
def test_bytes_that_are_no_request_are_told_so(impatient: Service, sent: bytes) -> None:
    with _connect(impatient) as raw:
        raw.sendall(sent)
        _refusal(_rest(raw), 400)


def test_a_large_body_does_not_count_as_head(impatient: Service) -> None:
    body = b" " * 200_000 + b"{}"
    with httpx.Client(base_url=impatient.url) as client:
        for _ in range(2):
            assert client.post("/predict", content=body).status_code == 415


def test_connections_beyond_the_limit_are_rejected(impatient: Service) -> None:
    """New connections are accepted again once others end."""
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(_connect(impatient))
        with _connect(impatient) as raw:
            answer = _rest(raw)
        _refusal(answer, 503)
        assert b"retry-after" in answer
    wait_until(lambda: httpx.get(f"{impatient.url}/healthcheck/").status_code == 200)


def test_above_a_share_of_the_limit_responses_end_their_connections(impatient: Service) -> None:
    """And at the limit the connection that has idled longest makes room for a new one."""
    below = int(CLOSING_SHARE * CONNECTIONS)
    with ExitStack() as stack:
        idle = []
        for _ in range(below):
            raw = stack.enter_context(_connect(impatient))
            raw.sendall(ASK)
            assert b"connection: close" not in _answer(raw)
            idle.append(raw)
        with _connect(impatient) as raw:
            raw.sendall(ASK)
            assert b"connection: close" in _rest(raw)
        time.sleep(MIN_IDLE_SECONDS + 0.5)
        for _ in range(CONNECTIONS - below):
            stack.enter_context(_connect(impatient))
        assert httpx.get(f"{impatient.url}/teams", timeout=5).status_code == 200
        assert _rest(idle[0]) == b""
        idle[1].sendall(ASK)
        assert _answer(idle[1]).startswith(b"HTTP/1.1 200")


def test_probes_have_places_beyond_the_limit(impatient: Service) -> None:
    """Idle connections take neither the places nor the places of probes; other requests are told that all are taken."""
    with ExitStack() as stack:
        for _ in range(CONNECTIONS + PROBE_PLACES + 20):
            stack.enter_context(_connect(impatient))
        for _ in range(3):  # by hand: the idle ones end after a second, and a client of httpx takes long to make
            with _connect(impatient) as raw:
                raw.sendall(ASK)
                answer = _rest(raw)
                assert answer.startswith(b"HTTP/1.1 200")
                assert b"connection: close" in answer
        with _connect(impatient) as raw:
            raw.sendall(b"GET /teams HTTP/1.1\r\nhost: x\r\n\r\n")
            assert _refusal(_rest(raw), 503)["detail"] == f"all {CONNECTIONS} connections are in use"
    wait_until(lambda: httpx.get(f"{impatient.url}/teams").status_code == 200)


def test_an_unread_response_is_dropped(impatient: Service) -> None:
    """Other clients are served in the meantime."""
    impatient.world.lake.write_bytes(REPORT, b"x" * 20_000_000)
    try:
        with ExitStack() as stack, ThreadPoolExecutor() as pool:
            deaf = [stack.enter_context(_connect(impatient)) for _ in range(5)]
            for raw in deaf:
                raw.sendall(b"GET /monitoring/drift/2026-01-05/report HTTP/1.1\r\nhost: x\r\n\r\n")
            until = time.monotonic() + 4 * PATIENCE
            while time.monotonic() < until:
                assert httpx.get(f"{impatient.url}/healthcheck/").elapsed.total_seconds() < 1
            received = list(pool.map(_rest, deaf))
            assert all(0 < len(response) < 20_000_000 for response in received)
    finally:
        (impatient.world.lake_root / REPORT).unlink()


def test_a_slow_reader_gets_its_whole_answer(impatient: Service) -> None:
    impatient.world.lake.write_bytes(REPORT, b"x" * 8_000_000)
    try:
        with _connect(impatient) as raw:
            raw.sendall(b"GET /monitoring/drift/2026-01-05/report HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            size = 0
            while part := raw.recv(300_000):
                size += len(part)
                time.sleep(0.1)
        assert size > 8_000_000
    finally:
        (impatient.world.lake_root / REPORT).unlink()
