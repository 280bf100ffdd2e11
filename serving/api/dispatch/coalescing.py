"""Requests that become tasks together, single matches and batches each by themselves: those that come while a task is
being sent share the next one. Nobody waits for company: with nothing on its way, a request goes at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from serving.wire.columns import MOST_MATCHES, Fixture
from serving.wire.forecast_json import Answers

REQUESTS = 256
"""Most that share a task: the ids of all are in the head of its message, which RabbitMQ takes up to 128 KB of."""
MATCHES = 8 * MOST_MATCHES
"""Most in one task: who waits for it waits for all of them."""


@dataclass(frozen=True)
class Caller:
    """Who asks: the route for the metrics, the request's id, and whether the client has hung up."""

    route: str
    request_id: str
    gone: Callable[[], Awaitable[bool]]


@dataclass(eq=False)
class Seat:
    """One request on its way to a worker, and where its answers go."""

    fixtures: list[Fixture]
    caller: Caller
    carrier: Mapping[str, str]
    answers: asyncio.Future[Answers]
    asked_at: float = field(default_factory=time.monotonic)

    def fail(self, error: Exception) -> bool:
        """Answer with an error, unless there is an answer."""
        open_ = not self.answers.done()
        if open_:
            self.answers.set_exception(error)
        return open_


class Gathering:
    """For one kind of task of an API process. `send` makes a task of some seats and answers what went wrong."""

    def __init__(self, send: Callable[[Sequence[Seat]], Awaitable[Exception | None]]) -> None:
        self._send = send
        self._waiting: list[Seat] = []
        self._sender: asyncio.Task[None] | None = None

    def add(self, seat: Seat) -> None:
        """Take a request over; it is sent in this turn of the event loop, or right after the task before it."""
        self._waiting.append(seat)
        if self._sender is None:
            self._sender = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                error = await self._send(self._next())
                if error is not None:  # those behind it would only wait for the same answer
                    failed, self._waiting = self._waiting, []
                    for seat in failed:
                        seat.fail(type(error)(str(error)))
        finally:
            self._sender = None

    def _next(self) -> list[Seat]:
        matches = count = 0
        for seat in self._waiting[:REQUESTS]:
            matches += len(seat.fixtures)
            if matches > MATCHES:
                break
            count += 1
        seats, self._waiting = self._waiting[:count], self._waiting[count:]
        return seats
