"""Where requests become tasks and results become answers: publish, wait, give up."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson
import structlog

from features.errors import TouchlineError
from monitoring.metrics import SHED, TIMEOUTS
from serving import tracing
from serving.backlog import Backlog
from serving.broker import Broker, Depth, Message
from serving.calls import PREDICT_BATCH, PREDICT_TOGETHER
from serving.errors import BrokerUnavailable, CallerGone, NoAnswerInTime, NoWorker, Overloaded, TaskGivenUp, from_task
from serving.gathering import Caller, Gathering, Seat
from serving.results import Results
from serving.settings import DEAD_LETTERS, QUEUE, ServingSettings

log = structlog.get_logger(__name__)
_LATE = 1.0
"""Seconds after which it is worth asking whether a caller still waits."""


@dataclass(eq=False)
class _Errand:
    """A task that callers wait for."""

    task_id: str
    seats: Sequence[Seat]
    result: asyncio.Future[bytes]
    sent_at: float = field(default_factory=time.monotonic)

    @property
    def matches(self) -> int:
        return sum(len(seat.fixtures) for seat in self.seats)

    @property
    def awaited(self) -> bool:
        return any(not seat.answers.done() for seat in self.seats)


class Desk:
    """One per API process."""

    def __init__(self, settings: ServingSettings, broker: Broker, results: Results) -> None:
        self._settings = settings
        self._broker = broker
        self.results = results
        self.depths: list[Depth] = []
        self.broker_error: str | None = None
        self._backlog = Backlog()
        self._gathering = Gathering(partial(self._send, PREDICT_TOGETHER))
        self._errands: dict[str, _Errand] = {}
        self._abandoned: deque[str] = deque()
        self._background: set[asyncio.Task[Any]] = set()
        self._workerless = False

    async def ask(self, fixture: dict[str, Any], caller: Caller) -> Any:
        """Forecast one match, in one task with others that are asked for now; raises what the worker raised."""
        return one_of((await self._wait(Seat([fixture], caller, tracing.carrier(), _future())))[0])

    async def ask_many(self, fixtures: list[dict[str, Any]], caller: Caller) -> list[Any]:
        """Forecast many matches by a task of their own; an error that concerns one of them stands in its place."""
        return await self._wait(Seat(fixtures, caller, tracing.carrier(), _future()), alone=True)

    async def _wait(self, seat: Seat, alone: bool = False) -> list[Any]:
        self._admit(seat.caller.route)
        self._backlog.outstanding += len(seat.fixtures)
        try:
            if alone:
                await self._send(PREDICT_BATCH, [seat])
            else:
                self._gathering.add(seat)
            return await seat.answers
        finally:
            self._backlog.outstanding -= len(seat.fixtures)

    async def _send(self, task: str, seats: Sequence[Seat]) -> Exception | None:
        """Make one task of seats. Whatever goes wrong here is told to those who sit there, and returned."""
        seats = [seat for seat in seats if not seat.answers.done()]
        if not seats:
            return None
        task_id = self.results.new_task_id()
        patience = self._settings.sync_timeout - (time.monotonic() - seats[0].asked_at)
        try:
            result = self.results.expect(task_id)
        except TouchlineError as error:
            return _failed(seats, error)
        try:
            with tracing.spans("publish", [seat.carrier for seat in seats], task=task) as carriers:
                message = self._message(
                    task_id, task, [[fixture for seat in seats for fixture in seat.fixtures]], patience,
                    [seat.caller.request_id for seat in seats], carriers,
                )  # fmt: skip
                await self._broker.publish(message)
        except BaseException as error:
            result.cancel()
            if not isinstance(error, Exception):
                raise
            return _failed(seats, error)
        self._backlog.published()
        self._expect(_Errand(task_id, seats, result), patience)
        return None

    def _expect(self, errand: _Errand, patience: float) -> None:
        self._errands[errand.task_id] = errand
        timer = asyncio.get_running_loop().call_later(max(patience, 0.0), self._time_out, errand)

        def answered(result: asyncio.Future[bytes]) -> None:
            timer.cancel()
            self._errands.pop(errand.task_id, None)
            if not result.cancelled():
                self._hand_out(errand, orjson.loads(result.result()))

        errand.result.add_done_callback(answered)

    def _hand_out(self, errand: _Errand, meta: dict[str, Any]) -> None:
        seats = errand.seats
        if meta["status"] == "REVOKED":  # it expired on its way: the patience ended there a moment earlier than here
            self._out_of_patience(seats)
            return
        self._backlog.answered(errand.matches, time.monotonic() - errand.sent_at)
        try:
            answers = answer_of(meta)
        except TaskGivenUp as error:
            if len(seats) == 1:
                _failed(seats, error)
            for seat in seats if len(seats) > 1 else ():  # one of them is to blame: each on its own from here
                self._spawn(self._send(PREDICT_TOGETHER, [seat]))
            return
        except TouchlineError as error:
            _failed(seats, error)
            return
        at = 0
        for seat in seats:
            part = answers[at : at + len(seat.fixtures)]
            at += len(part)
            if not seat.answers.done():
                seat.answers.set_result(part)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _time_out(self, errand: _Errand) -> None:
        self._spawn(self._give_up(errand))

    async def _give_up(self, errand: _Errand) -> None:
        """Nobody waits any longer: unless the result is there after all, say so and revoke the task."""
        stored = None
        with contextlib.suppress(TouchlineError, TimeoutError):
            stored, _ = await asyncio.wait_for(self.results.status(errand.task_id), 1)
        if stored is not None and not errand.result.done():
            errand.result.set_result(stored)
        if errand.result.done():
            return
        self._abandon(errand)
        self._out_of_patience(errand.seats)

    def _out_of_patience(self, seats: Sequence[Seat]) -> None:
        for seat in seats:
            patience = self._settings.sync_timeout
            if seat.fail(NoAnswerInTime(f"no worker answered within {patience:g} s; the task was revoked")):
                TIMEOUTS.labels(seat.caller.route).inc()

    def _abandon(self, errand: _Errand) -> None:
        self._abandoned.append(errand.task_id)
        errand.result.cancel()

    async def submit(self, fixture: dict[str, Any], caller: Caller, task: str, task_id: str | None = None) -> str:
        """Put a task on the queue; once this returns the id, the task will end in a result.

        A task_id that is given may be on its way from another request too, so a failure here does not forget it.
        """
        waiting = self._queued()
        if waiting >= self._settings.max_queued:
            SHED.labels(caller.route).inc()
            raise Overloaded(f"{waiting} tasks wait in the queue; no more are taken")
        own = task_id is None
        task_id = task_id or self.results.new_task_id()
        await self.results.accept(task_id)
        lifetime = self._settings.task_lifetime
        try:
            with tracing.spans("publish", [tracing.carrier()], task=task) as carriers:
                message = self._message(task_id, task, [fixture], lifetime, [caller.request_id], carriers, track=True)
                await self._broker.publish(message)
        except BrokerUnavailable:
            if own:
                with contextlib.suppress(TouchlineError):
                    await self.results.forget(task_id)
            raise
        self._backlog.published()
        return task_id

    async def watch(self) -> None:
        """Follow the queue and the workers, and revoke what nobody waits for. Runs for ever."""
        at = time.monotonic()
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            try:
                await self.look()
                self._backlog.tick(now - at, self._queued())
                await self._notice_gone()
                await self._revoke()
                await self._bury()
            except Exception as error:  # whatever it is: the next second tries again
                log.warning("desk.not_watched", error=str(error), exc_info=error)
            at = now

    async def look(self) -> None:
        """Ask the broker for its queues, and whether anybody works; why it does not answer is in `broker_error`."""
        try:
            self.depths, self.broker_error = await self._broker.depths(), None
        except BrokerUnavailable as error:
            self.depths, self.broker_error = [], str(error)
        self._workerless = await self._nobody_works()

    def _queued(self) -> int:
        return next((depth.messages for depth in self.depths if depth.name == QUEUE), 0)

    def _admit(self, route: str) -> None:
        """Refuse at once what would not be answered in time; raises Overloaded or NoWorker."""
        if self._workerless:
            raise NoWorker("no worker is alive to answer; the task was not queued")
        oldest = next(iter(self._errands.values()), None)
        wait = self._backlog.wait(time.monotonic() - oldest.seats[0].asked_at if oldest else 0.0)
        if wait > self._settings.max_wait:
            SHED.labels(route).inc()
            error = Overloaded(f"a request that comes now would wait about {wait:.0f} s; try again later")
            error.retry_after = min(30, math.ceil(wait - self._settings.max_wait) + 1)
            raise error

    async def _nobody_works(self) -> bool:
        """Whether neither the broker nor the result backend knows of a worker; False where they cannot be asked."""
        if self.broker_error is not None:
            return False
        consumers = next((depth.consumers for depth in self.depths if depth.name == QUEUE), None)
        if consumers is not None:
            return consumers == 0
        try:
            return not await self.results.workers()
        except TouchlineError:
            return False

    async def _notice_gone(self) -> None:
        """Stop waiting for those who hung up; a task that nobody waits for any more is revoked."""
        late = time.monotonic() - _LATE
        for errand in [one for one in self._errands.values() if one.sent_at <= late]:
            for seat in errand.seats:
                if not seat.answers.done() and await seat.caller.gone():
                    seat.fail(CallerGone("the client hung up before the answer was there"))
            if not errand.awaited and not errand.result.done():
                self._abandon(errand)

    async def _bury(self) -> None:
        if any(depth.messages for depth in self.depths if depth.name == DEAD_LETTERS):
            try:
                await self._broker.bury(self.results.give_up)
            except TouchlineError as error:
                log.warning("tasks.not_buried", error=str(error))

    async def _revoke(self) -> None:
        from serving.worker import app

        ids = [self._abandoned.popleft() for _ in range(min(len(self._abandoned), 1000))]
        if not ids:
            return
        try:
            await asyncio.wait_for(asyncio.to_thread(app.control.revoke, ids), 5)
        except Exception as error:  # they expire anyway
            log.warning("tasks.not_revoked", tasks=len(ids), error=str(error))

    @staticmethod
    def _message(
        task_id: str, task: str, args: list[Any], lifetime: float, request_ids: list[str],
        carriers: Sequence[Mapping[str, str]], track: bool = False,
    ) -> Message:  # fmt: skip
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


def one_of(answer: dict[str, Any]) -> dict[str, Any]:
    """A forecast among several answers; raises the error if one stands in its place."""
    if "exc_type" in answer:
        raise from_task(answer)
    return answer


def _future() -> asyncio.Future[list[Any]]:
    return asyncio.get_running_loop().create_future()


def _failed(seats: Sequence[Seat], error: Exception) -> Exception:
    for seat in seats:  # an exception of its own each: they are raised in several requests
        seat.fail(type(error)(str(error)) if isinstance(error, TouchlineError) else error)
    return error
