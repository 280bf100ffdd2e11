"""Tasks that callers wait for: sent, handed out, given up when nobody waits any longer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from features.errors import TouchlineError
from monitoring.metrics import TIMEOUTS
from serving.api.dispatch.admission import Backlog
from serving.api.dispatch.broker import Broker, Message
from serving.api.dispatch.coalescing import Seat
from serving.api.dispatch.result_store import Results
from serving.errors import CallerGone, NoAnswerInTime, OtherVersion, TaskGivenUp, from_task
from serving.telemetry import tracing
from serving.wire.columns import slate
from serving.wire.forecast_json import Answers

_PAUSE = 0.2
"""Seconds before a task that met a worker of another version looks for one of its own."""
_LATE = 1.0
"""Seconds after which it is worth asking whether a caller still waits."""


@dataclass(eq=False)
class Errand:
    """A task that callers wait for."""

    task_id: str
    task: str
    seats: Sequence[Seat]
    result: asyncio.Future[bytes]
    sent_at: float = field(default_factory=time.monotonic)

    @property
    def matches(self) -> int:
        return sum(len(seat.fixtures) for seat in self.seats)

    @property
    def awaited(self) -> bool:
        return any(not seat.answers.done() for seat in self.seats)


class Errands:
    """One per API process."""

    def __init__(self, broker: Broker, results: Results, backlog: Backlog, patience: float) -> None:
        self._broker = broker
        self._results = results
        self._backlog = backlog
        self._patience = patience
        self._running: dict[str, Errand] = {}
        self._abandoned: deque[str] = deque()
        self._background: set[asyncio.Task[Any]] = set()

    def oldest(self) -> float:
        """Seconds since the request was made that has waited longest; 0 where none waits."""
        first = next(iter(self._running.values()), None)
        return time.monotonic() - first.seats[0].asked_at if first else 0.0

    def abandoned(self) -> list[str]:
        """Take up to a thousand ids of tasks that nobody waits for any longer."""
        return [self._abandoned.popleft() for _ in range(min(len(self._abandoned), 1000))]

    async def send(self, task: str, seats: Sequence[Seat]) -> Exception | None:
        """Make one task of seats. Whatever goes wrong here is told to those who sit there, and returned."""
        seats = [seat for seat in seats if not seat.answers.done()]
        if not seats:
            return None
        task_id = self._results.new_task_id()
        patience = self._patience - (time.monotonic() - seats[0].asked_at)
        try:
            result = self._results.expect(task_id)
        except TouchlineError as error:
            return _failed(seats, error)
        try:
            with tracing.spans("publish", [seat.carrier for seat in seats], task=task) as carriers:
                columns = slate([fixture for seat in seats for fixture in seat.fixtures]).document()
                callers = [seat.caller.request_id for seat in seats]
                message = message_of(task_id, task, [columns], patience, callers, carriers)
                await self._broker.publish(message)
        except BaseException as error:
            result.cancel()
            if not isinstance(error, Exception):
                raise
            return _failed(seats, error)
        self._backlog.published()
        self._expect(Errand(task_id, task, seats, result), patience)
        return None

    def _expect(self, errand: Errand, patience: float) -> None:
        self._running[errand.task_id] = errand
        timer = asyncio.get_running_loop().call_later(max(patience, 0.0), self._time_out, errand)

        def answered(result: asyncio.Future[bytes]) -> None:
            timer.cancel()
            self._running.pop(errand.task_id, None)
            if not result.cancelled():
                self._hand_out(errand, orjson.loads(result.result()))

        errand.result.add_done_callback(answered)

    def _hand_out(self, errand: Errand, meta: dict[str, Any]) -> None:
        seats = errand.seats
        if meta["status"] == "REVOKED":  # it expired on its way: the patience ended there a moment earlier than here
            self._out_of_patience(seats)
            return
        self._backlog.answered(errand.matches)
        try:
            answers = answer_of(meta)
        except TaskGivenUp as error:
            if len(seats) == 1:
                _failed(seats, error)
            for seat in seats if len(seats) > 1 else ():  # one of them is to blame: each on its own from here
                self._spawn(self.send(errand.task, [seat]))
            return
        except OtherVersion:
            self._spawn(self._send_again(errand))
            return
        except TouchlineError as error:
            _failed(seats, error)
            return
        counts = [len(seat.fixtures) for seat in seats]
        for seat, own in zip(seats, Answers.read(answers).parted(counts), strict=True):
            if not seat.answers.done():
                seat.answers.set_result(own)

    async def _send_again(self, errand: Errand) -> None:
        """For those who still wait; such an errand never runs for long enough to be asked about in `notice_gone`."""
        await asyncio.sleep(_PAUSE)
        await self._dismiss_gone(errand.seats)
        await self.send(errand.task, errand.seats)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _time_out(self, errand: Errand) -> None:
        self._spawn(self._give_up(errand))

    async def _give_up(self, errand: Errand) -> None:
        """Nobody waits any longer: unless the result is there after all, say so and revoke the task."""
        stored = None
        with contextlib.suppress(TouchlineError, TimeoutError):
            stored, _ = await asyncio.wait_for(self._results.status(errand.task_id), 1)
        if stored is not None and not errand.result.done():
            errand.result.set_result(stored)
        if errand.result.done():
            return
        self._abandon(errand)
        self._out_of_patience(errand.seats)

    def _out_of_patience(self, seats: Sequence[Seat]) -> None:
        for seat in seats:
            if seat.fail(NoAnswerInTime(f"no worker answered within {self._patience:g} s; the task was revoked")):
                TIMEOUTS.labels(seat.caller.route).inc()

    def _abandon(self, errand: Errand) -> None:
        self._abandoned.append(errand.task_id)
        errand.result.cancel()

    async def notice_gone(self) -> None:
        """Stop waiting for those who hung up; a task that nobody waits for any more is revoked."""
        late = time.monotonic() - _LATE
        for errand in [one for one in self._running.values() if one.sent_at <= late]:
            await self._dismiss_gone(errand.seats)
            if not errand.awaited and not errand.result.done():
                self._abandon(errand)

    @staticmethod
    async def _dismiss_gone(seats: Sequence[Seat]) -> None:
        for seat in seats:
            if not seat.answers.done() and await seat.caller.gone():
                seat.fail(CallerGone("the client hung up before the answer was there"))


def message_of(
    task_id: str, task: str, args: list[Any], lifetime: float, request_ids: list[str],
    carriers: Sequence[Mapping[str, str]], track: bool = False,
) -> Message:  # fmt: skip
    """A task for the queue, with what its answer and its trace are found by."""
    headers: dict[str, Any] = {"request_ids": request_ids, "sent_at": time.time()}
    traced = [carrier["traceparent"] for carrier in carriers if "traceparent" in carrier]
    headers |= {"traceparents": traced} if traced else {}
    headers |= {"track_started": True} if track else {}
    expires = datetime.now(UTC) + timedelta(seconds=lifetime)
    return Message(task_id, task, args, expires.isoformat(), headers)


def answer_of(meta: dict[str, Any]) -> Any:
    """The result in Celery's stored document; raises the error if it holds one."""
    if meta["status"] == "SUCCESS":
        return meta["result"]
    raise from_task(meta["result"])


def _failed(seats: Sequence[Seat], error: Exception) -> Exception:
    for seat in seats:  # an exception of its own each: they are raised in several requests
        seat.fail(type(error)(str(error)) if isinstance(error, TouchlineError) else error)
    return error
