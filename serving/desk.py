"""Where requests become tasks and results become answers: publish, wait, give up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import structlog

from features.errors import TouchlineError
from monitoring.metrics import SHED, TIMEOUTS
from serving import tracing
from serving.broker import Broker, Depth, Message
from serving.errors import BrokerUnavailable, NoAnswerInTime, Overloaded, from_task
from serving.results import Results
from serving.settings import DEAD_LETTERS, QUEUE, ServingSettings

log = structlog.get_logger(__name__)


class Desk:
    """One per API process."""

    def __init__(self, settings: ServingSettings, broker: Broker, results: Results) -> None:
        self._settings = settings
        self._broker = broker
        self.results = results
        self.depths: list[Depth] = []
        self.broker_error: str | None = None
        self._abandoned: deque[str] = deque()
        self._answered = 0
        self._rate = 0.0

    async def ask(self, task: str, args: list[Any], route: str, request_id: str) -> Any:
        """Put a task on the queue and wait for its result; raises what the worker raised, or NoAnswerInTime."""
        self._shed(route)
        task_id = self.results.new_task_id()
        future = self.results.expect(task_id)
        patience = self._settings.sync_timeout
        try:
            expires = datetime.now(UTC) + timedelta(seconds=patience)
            with tracing.span("publish", task=task) as carrier:
                await self._broker.publish(_message(task_id, task, args, expires, request_id, carrier))
            raw = await asyncio.wait_for(future, patience)
        except TimeoutError as error:
            self._abandoned.append(task_id)
            TIMEOUTS.labels(route).inc()
            raise NoAnswerInTime(f"no worker answered within {patience:g} s; the task was revoked") from error
        except asyncio.CancelledError:  # the caller hung up
            self._abandoned.append(task_id)
            raise
        finally:
            future.cancel()
        self._answered += 1
        return answer_of(orjson.loads(raw))

    async def submit(self, task: str, args: list[Any], route: str, request_id: str, task_id: str | None = None) -> str:
        """Put a task on the queue; once this returns the id, the task will end in a result.

        A task_id that is given may be on its way from another request too, so a failure here does not forget it.
        """
        waiting = next((depth.messages for depth in self.depths if depth.name == QUEUE), 0)
        if waiting >= self._settings.max_queued:
            SHED.labels(route).inc()
            raise Overloaded(f"{waiting} tasks wait in the queue; no more are taken")
        own = task_id is None
        task_id = task_id or self.results.new_task_id()
        await self.results.accept(task_id)
        expires = datetime.now(UTC) + timedelta(seconds=self._settings.task_lifetime)
        try:
            with tracing.span("publish", task=task) as carrier:
                message = _message(task_id, task, args, expires, request_id, {**carrier, "track_started": True})
                await self._broker.publish(message)
        except BrokerUnavailable:
            if own:
                with contextlib.suppress(TouchlineError):
                    await self.results.forget(task_id)
            raise
        return task_id

    async def watch(self) -> None:
        """Follow the queue's length and the rate of answers, and revoke what was abandoned. Runs for ever."""
        before, at = self._answered, time.monotonic()
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            rate = (self._answered - before) / (now - at)
            self._rate = rate if rate > self._rate else 0.8 * self._rate + 0.2 * rate
            before, at = self._answered, now
            try:
                await self.look()
                await self._revoke()
                await self._bury()
            except Exception as error:  # whatever it is: the next second tries again
                log.warning("desk.not_watched", error=str(error), exc_info=error)

    async def look(self) -> None:
        """Ask the broker for its queues; what it says stays in `depths`, why it does not in `broker_error`."""
        try:
            self.depths, self.broker_error = await self._broker.depths(), None
        except BrokerUnavailable as error:
            self.broker_error = str(error)

    def _shed(self, route: str) -> None:
        waiting = next((depth.messages for depth in self.depths if depth.name == QUEUE), 0)
        wait = waiting / max(self._rate, 50.0)
        if wait > self._settings.max_wait:
            SHED.labels(route).inc()
            raise Overloaded(f"{waiting} tasks wait in the queue, about {wait:.0f} s of work; try again later")

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


def answer_of(meta: dict[str, Any]) -> Any:
    """The result in Celery's stored document; raises the error if it holds one."""
    if meta["status"] == "SUCCESS":
        return meta["result"]
    raise from_task(meta["result"])


def _message(
    task_id: str, task: str, args: list[Any], expires: datetime, request_id: str, extra: Mapping[str, Any]
) -> Message:
    headers = {"request_id": request_id, "sent_at": time.time(), **extra}
    return Message(task_id, task, args, expires.isoformat(), headers)
