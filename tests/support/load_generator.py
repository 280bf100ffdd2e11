"""A load generator with little overhead: keep-alive connections, requests encoded once, closed and open loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import numpy as np


@dataclass
class Outcome:
    """The result of a run."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def milliseconds(self, percentile: float) -> float:
        return float(np.percentile(self.latencies, percentile)) * 1000 if self.latencies else float("nan")

    def __str__(self) -> str:
        return (
            f"{self.rate:8.0f}/s   p50 {self.milliseconds(50):7.1f} ms   p99 {self.milliseconds(99):7.1f} ms"
            f"   {self.failures} failed"
        )


def encode(url: str, body: bytes | None) -> tuple[str, int, bytes]:
    """Host, port and bytes of a request."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
    if body is not None:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return str(parts.hostname), int(parts.port or 80), head.encode() + b"\r\n" + (body or b"")


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.future: asyncio.Future[int] | None = None
        self._parts: list[bytes] = []
        self._received = self._expected = self._status = 0

    @property
    def body(self) -> bytes:
        """The body of the last answer."""
        return b"".join(self._parts).split(b"\r\n\r\n", 1)[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # the connection is TCP

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._received += len(data)
        if not self._expected:
            head, end, _ = b"".join(self._parts).partition(b"\r\n\r\n")
            if not end:
                return
            self._status = int(head[9:12])
            length = head.lower().split(b"content-length:")[1].split(b"\r\n", 1)[0]
            self._expected = len(head) + len(end) + int(length)
        if self._received >= self._expected and self.future is not None and not self.future.done():
            self.future.set_result(self._status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_exception(exc or ConnectionResetError())

    async def ask(self, request: bytes) -> int:
        self.future = asyncio.get_running_loop().create_future()
        self._parts, self._received, self._expected = [], 0, 0
        self.transport.write(request)
        return await self.future


async def _connect(host: str, port: int) -> _Connection:
    _, protocol = await asyncio.get_running_loop().create_connection(_Connection, host, port)
    return protocol


def _count(outcome: Outcome, status: int, seconds: float) -> None:
    outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
    if status < 400:
        outcome.latencies.append(seconds)
    else:
        outcome.failures += 1


async def closed(url: str, bodies: Sequence[bytes | None], connections: int, seconds: float) -> Outcome:
    """Each connection sends its next request when it has its answer."""
    requests = [encode(url, body) for body in bodies]
    host, port, _ = requests[0]
    outcome = Outcome(seconds)
    stop = time.perf_counter() + seconds

    async def ask_repeatedly(number: int) -> None:
        connection = await _connect(host, port)
        at = number
        while (now := time.perf_counter()) < stop:
            status = await connection.ask(requests[at % len(requests)][2])
            _count(outcome, status, time.perf_counter() - now)
            at += connections
        connection.transport.close()

    await asyncio.gather(*(ask_repeatedly(number) for number in range(connections)))
    return outcome


async def opened(
    urls: str | Sequence[str],
    bodies: Sequence[bytes | None],
    rate: float,
    seconds: float,
    keep: Callable[[bytes], None] | None = None,
) -> Outcome:
    """Requests start on a schedule whether or not earlier ones were answered; latency counts from the schedule.

    `keep` gets the body of each answer.
    """
    urls = [urls] if isinstance(urls, str) else urls
    requests = [encode(url, body) for url in urls for body in bodies]
    host, port, _ = requests[0]
    idle = deque([await _connect(host, port) for _ in range(32)])
    outcome = Outcome(seconds)
    running: set[asyncio.Task[None]] = set()

    async def ask_once(due: float, request: bytes) -> None:
        try:
            # The server may have closed a connection that was idle for seconds.
            while idle and idle[-1].transport.is_closing():
                idle.pop()
            connection = idle.pop() if idle else await _connect(host, port)
            status = await connection.ask(request)
        except OSError:
            outcome.failures += 1
            return
        _count(outcome, status, time.perf_counter() - due)
        if keep is not None:
            keep(connection.body)
        idle.append(connection)

    start = time.perf_counter() + 0.05
    for number in range(int(rate * seconds)):
        due = start + number / rate
        pause = due - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        task = asyncio.create_task(ask_once(due, requests[number % len(requests)][2]))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    for connection in idle:
        connection.transport.close()
    return outcome
