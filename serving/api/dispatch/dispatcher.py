"""The counter of the API: who is let in, what is queued for later, and what the broker and the workers are doing."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from functools import partial

import structlog

from features.errors import TouchlineError
from monitoring.metrics import SHED_REQUESTS
from serving.api.dispatch.admission import Backlog
from serving.api.dispatch.broker import Broker, Depth
from serving.api.dispatch.coalescing import Caller, Gathering, Seat
from serving.api.dispatch.in_flight import Errands, message_of
from serving.api.dispatch.result_store import Results
from serving.errors import BrokerUnavailable, NoWorker, Overloaded
from serving.settings import DEAD_LETTERS, QUEUE, ServingSettings
from serving.telemetry import tracing
from serving.wire import forecast_json
from serving.wire.columns import Fixture
from serving.wire.forecast_json import Answers
from serving.worker.execution import PREDICT_BATCH, PREDICT_TOGETHER

log = structlog.get_logger(__name__)
_ABSENCE = 5.0
"""Seconds without any worker after which callers are told so: one that restarts or reconnects is waited for."""


class Desk:
    """One per API process."""

    def __init__(self, settings: ServingSettings, broker: Broker, results: Results) -> None:
        self._settings = settings
        self._broker = broker
        self.results = results
        self.depths: list[Depth] = []
        self.broker_error: str | None = None
        self._backlog = Backlog()
        self._errands = Errands(broker, results, self._backlog, settings.sync_timeout_seconds)
        self._ones = Gathering(partial(self._errands.send, PREDICT_TOGETHER))
        self._batches = Gathering(partial(self._errands.send, PREDICT_BATCH))
        self._looking = asyncio.Lock()
        self._nobody_since: float | None = None

    async def ask(self, fixture: Fixture, caller: Caller) -> bytes:
        """The forecast of a match as JSON, by a task that others share who ask now; raises what the worker raised."""
        seat = Seat([fixture], caller, tracing.carrier(), _future())
        return forecast_json.document(fixture, await self._wait(seat, self._ones))

    async def ask_many(self, fixtures: list[Fixture], caller: Caller) -> Answers:
        """Forecasts of many matches by a task that other batches may share; an error of one of them is in its place."""
        return await self._wait(Seat(fixtures, caller, tracing.carrier(), _future()), self._batches)

    async def _wait(self, seat: Seat, gathering: Gathering) -> Answers:
        self._admit(seat.caller.route)
        self._backlog.outstanding += len(seat.fixtures)
        try:
            gathering.add(seat)
            return await seat.answers
        finally:
            self._backlog.outstanding -= len(seat.fixtures)

    async def submit(self, fixture: Fixture, caller: Caller, task: str, task_id: str | None = None) -> str:
        """Put a task on the queue; once this returns the id, the task will end in a result.

        A task_id that is given may be on its way from another request too, so a failure here does not forget it.
        """
        waiting = self._queued()
        if waiting >= self._settings.max_queue_length:
            SHED_REQUESTS.labels(caller.route).inc()
            raise Overloaded(f"{waiting} tasks wait in the queue; no more are taken")
        own = task_id is None
        task_id = task_id or self.results.new_task_id()
        await self.results.accept(task_id)
        lifetime = self._settings.result_ttl_seconds
        try:
            with tracing.spans("publish", [tracing.carrier()], task=task) as carriers:
                message = message_of(
                    task_id, task, [fixture.columns()], lifetime, [caller.request_id], carriers, track=True
                )
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
        at = time.monotonic() - 1
        while True:
            now = time.monotonic()
            try:
                await self.look()
                self._backlog.tick(now - at, self._queued())
                await self._errands.notice_gone()
                await self._revoke()
                await self._bury()
            except Exception as error:  # whatever it is: the next second tries again
                log.warning("desk.not_watched", error=str(error), exc_info=error)
            at = now
            await asyncio.sleep(1)

    async def look(self) -> None:
        """Ask the broker for its queues, and whether anybody works; why it does not answer is in `broker_error`."""
        async with self._looking:  # one after another, so that no older view replaces a newer one
            try:
                self.depths, self.broker_error = await self._broker.depths(), None
            except BrokerUnavailable as error:
                self.depths, self.broker_error = [], str(error)
            if not await self._nobody_works():
                self._nobody_since = None
            elif self._nobody_since is None:
                self._nobody_since = time.monotonic()

    @property
    def workerless(self) -> bool:
        """Whether nobody took tasks at the last look."""
        return self._nobody_since is not None

    def _queued(self) -> int:
        return next((depth.messages for depth in self.depths if depth.name == QUEUE), 0)

    def _admit(self, route: str) -> None:
        """Refuse at once what would not be answered in time; raises Overloaded or NoWorker."""
        if self._nobody_since is not None and time.monotonic() - self._nobody_since > _ABSENCE:
            raise NoWorker("no worker is alive to answer; the task was not queued")
        wait = self._backlog.wait(self._errands.oldest())
        if wait > self._settings.shed_above_wait_seconds:
            SHED_REQUESTS.labels(route).inc()
            error = Overloaded(f"a request that comes now would wait about {wait:.0f} s; try again later")
            error.retry_after = min(30, math.ceil(wait - self._settings.shed_above_wait_seconds) + 1)
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

    async def _bury(self) -> None:
        if any(depth.messages for depth in self.depths if depth.name == DEAD_LETTERS):
            try:
                await self._broker.bury(self.results.give_up)
            except TouchlineError as error:
                log.warning("tasks.not_buried", error=str(error))

    async def _revoke(self) -> None:
        from serving.worker.app import app

        ids = self._errands.abandoned()
        if not ids:
            return
        try:
            await asyncio.wait_for(asyncio.to_thread(app.control.revoke, ids), 5)
        except Exception as error:  # they expire anyway
            log.warning("tasks.not_revoked", tasks=len(ids), error=str(error))


def _future() -> asyncio.Future[Answers]:
    return asyncio.get_running_loop().create_future()
