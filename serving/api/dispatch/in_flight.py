"""In-flight tasks with waiting clients.

Publishes them, delivers their results, and marks abandoned tasks for revocation: those whose clients have all timed out
or disconnected.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from features.errors import TouchlineError
from monitoring.metrics import INVALID_RESULTS, TIMEOUTS, Mode
from serving.api.dispatch.admission import LoadEstimator
from serving.api.dispatch.broker import Broker
from serving.api.dispatch.requests import PendingRequest
from serving.api.dispatch.result_store import ResultStore
from serving.errors import (
    ClientDisconnectedError,
    IncompatibleWorkerError,
    InvalidResultError,
    PredictionTimeoutError,
    TaskFailedError,
)
from serving.telemetry import tracing
from serving.wire.columns import FixtureBatch
from serving.wire.messages import build_message
from serving.wire.stored_results import read_forecasts, read_stored
from serving.wire.tasks import PREDICT_COLUMNS

log = structlog.get_logger(__name__)
RESEND_DELAY_SECONDS = 0.2
"""Delay before a task that a worker of another version refused is published again."""
DISCONNECT_CHECK_AFTER_SECONDS = 1.0
"""Age from which a task's clients are checked for disconnects; most tasks end earlier."""
_MAX_REVOKED_AT_ONCE = 1000


@dataclass(eq=False)
class InFlightTask:
    """A published task and the requests that wait for it."""

    task_id: str
    mode: Mode
    requests: Sequence[PendingRequest]
    result: asyncio.Future[bytes]
    published_at: float

    @property
    def matches(self) -> int:
        """How many matches the task forecasts."""
        return sum(len(request.fixtures) for request in self.requests)

    @property
    def has_waiters(self) -> bool:
        """Whether any request still waits."""
        return any(not request.future.done() for request in self.requests)


class InFlightTasks:
    """The in-flight tasks of one API process."""

    def __init__(
        self,
        broker: Broker,
        results: ResultStore,
        load: LoadEstimator,
        timeout_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._results = results
        self._load = load
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._tasks: dict[str, InFlightTask] = {}
        self._abandoned: deque[str] = deque()
        self._background: set[asyncio.Task[Any]] = set()

    def oldest_age(self) -> float:
        """Age in seconds of the request that has waited longest; 0 if none waits."""
        oldest = next(iter(self._tasks.values()), None)
        return self._clock() - oldest.requests[0].enqueued_at if oldest else 0.0

    def pop_abandoned(self) -> list[str]:
        """Remove and return up to a thousand ids of tasks for which no client waits any more."""
        return [self._abandoned.popleft() for _ in range(min(len(self._abandoned), _MAX_REVOKED_AT_ONCE))]

    async def publish(self, mode: Mode, requests: Sequence[PendingRequest]) -> Exception | None:
        """Publish one task for all the requests. An error that prevents it ends all of them, and is returned."""
        requests = [request for request in requests if not request.future.done()]
        if not requests:
            return None
        task_id = self._results.new_task_id()
        timeout_seconds = self._timeout_seconds - (self._clock() - requests[0].enqueued_at)
        try:
            result = self._results.expect(task_id)
        except TouchlineError as error:
            return _fail_all(requests, error)
        try:
            parents = [request.trace_context for request in requests]
            with tracing.spans("publish", parents, task=PREDICT_COLUMNS) as trace_contexts:
                batch = FixtureBatch.from_fixtures([fixture for request in requests for fixture in request.fixtures])
                message = build_message(
                    task_id,
                    PREDICT_COLUMNS,
                    [batch.to_wire()],
                    mode=mode,
                    ttl_seconds=timeout_seconds,
                    request_ids=[request.context.request_id for request in requests],
                    trace_contexts=trace_contexts,
                    now=self._results.clock.now(),
                )
                await self._broker.publish(message)
        except BaseException as error:
            result.cancel()
            if not isinstance(error, Exception):
                raise
            return _fail_all(requests, error)
        self._load.count_published()
        self._track(InFlightTask(task_id, mode, requests, result, self._clock()), timeout_seconds)
        return None

    def _track(self, task: InFlightTask, timeout_seconds: float) -> None:
        """Deliver the result of a task; if none arrives in time, end the task."""
        self._tasks[task.task_id] = task
        timer = asyncio.get_running_loop().call_later(max(timeout_seconds, 0.0), self._on_timeout, task)

        def on_result(result: asyncio.Future[bytes]) -> None:
            timer.cancel()
            self._tasks.pop(task.task_id, None)
            if result.cancelled():
                return
            try:
                document = result.result()
            except TouchlineError as error:  # the result store can no longer hold it
                self._abandoned.append(task.task_id)
                _fail_all(task.requests, error)
            else:
                self._deliver_or_fail(task, document)

        task.result.add_done_callback(on_result)

    def _deliver_or_fail(self, task: InFlightTask, document: bytes) -> None:
        """Deliver a result. The timer of the task is off by now, so whatever happens must end its requests."""
        try:
            self._deliver(task, document)
        except Exception as error:
            log.error("result.invalid", task_id=task.task_id, error=str(error), exc_info=error)
            INVALID_RESULTS.labels("forecasts").inc()
            _fail_all(task.requests, InvalidResultError("the stored result cannot be read"))

    def _deliver(self, task: InFlightTask, document: bytes) -> None:
        requests = task.requests
        try:
            stored = read_stored(document)
            if stored.status == "REVOKED":  # it expired in the queue, a moment before the timer here
                self._fail_timed_out(requests)
                return
            self._load.count_answered(task.matches)
            forecasts = read_forecasts(stored, task.matches)
        except InvalidResultError as error:
            log.error("result.invalid", task_id=task.task_id, error=str(error))
            INVALID_RESULTS.labels("forecasts").inc()
            _fail_all(requests, error)
            return
        except TaskFailedError as error:
            if len(requests) == 1:
                _fail_all(requests, error)
            else:  # one request caused the failure, so each becomes a separate task
                for request in requests:
                    self._spawn(self.publish(task.mode, [request]))
            return
        except IncompatibleWorkerError:
            self._spawn(self._resend(task))
            return
        except TouchlineError as error:
            _fail_all(requests, error)
            return
        sizes = [len(request.fixtures) for request in requests]
        for request, own in zip(requests, forecasts.split(sizes), strict=True):
            if not request.future.done():
                request.future.set_result(own)

    async def _resend(self, task: InFlightTask) -> None:
        """Publish a task again for the requests that still wait.

        Such a task never reaches the age at which `cancel_disconnected` checks clients, so they are checked here.
        """
        await asyncio.sleep(RESEND_DELAY_SECONDS)
        await self._drop_disconnected(task.requests)
        await self.publish(task.mode, task.requests)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        background = asyncio.create_task(work)
        self._background.add(background)
        background.add_done_callback(self._background.discard)

    def _on_timeout(self, task: InFlightTask) -> None:
        self._spawn(self._expire(task))

    async def _expire(self, task: InFlightTask) -> None:
        """End a task that has timed out with an error, unless its result is in the store after all."""
        stored = None
        with contextlib.suppress(TouchlineError, TimeoutError):
            stored, _ = await asyncio.wait_for(self._results.status(task.task_id), 1)
        if stored is not None and not task.result.done():
            task.result.set_result(stored)
        if task.result.done():
            return
        self._abandon(task)
        self._fail_timed_out(task.requests)

    def _fail_timed_out(self, requests: Sequence[PendingRequest]) -> None:
        reason = f"no worker answered within {self._timeout_seconds:g} s; the task was cancelled"
        for request in requests:
            if request.fail(PredictionTimeoutError(reason)):
                TIMEOUTS.labels(request.context.route).inc()

    def _abandon(self, task: InFlightTask) -> None:
        self._abandoned.append(task.task_id)
        task.result.cancel()

    async def cancel_disconnected(self) -> None:
        """End the requests of clients that have disconnected, and abandon tasks that have no other."""
        published_before = self._clock() - DISCONNECT_CHECK_AFTER_SECONDS
        for task in [task for task in self._tasks.values() if task.published_at <= published_before]:
            await self._drop_disconnected(task.requests)
            if not task.has_waiters and not task.result.done():
                self._abandon(task)

    @staticmethod
    async def _drop_disconnected(requests: Sequence[PendingRequest]) -> None:
        for request in requests:
            if not request.future.done() and await request.context.is_disconnected():
                request.fail(ClientDisconnectedError("client disconnected before the response was ready"))


def _fail_all(requests: Sequence[PendingRequest], error: Exception) -> Exception:
    for request in requests:  # a separate exception for each request, because each raises its own
        request.fail(type(error)(str(error)) if isinstance(error, TouchlineError) else error)
    return error
