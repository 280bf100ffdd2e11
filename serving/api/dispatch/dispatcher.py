"""Dispatches prediction requests to the workers: admission control, coalescing, supervision of queue and workers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from features.errors import TouchlineError
from monitoring.metrics import Mode
from serving.api.dispatch.admission import Admission, LoadEstimator
from serving.api.dispatch.broker import Broker, QueueStats
from serving.api.dispatch.coalescing import RequestCoalescer
from serving.api.dispatch.in_flight import InFlightTasks
from serving.api.dispatch.requests import ClientRequest, PendingRequest
from serving.api.dispatch.result_store import ResultStore
from serving.api.dispatch.revocation import Revoker
from serving.api.dispatch.worker_health import worker_problem
from serving.errors import BrokerUnavailableError
from serving.settings import ServingSettings
from serving.telemetry import tracing
from serving.wire.consumer_status import ConsumerStatus
from serving.wire.fixtures import Fixture
from serving.wire.forecast_json import EncodedForecasts, encode_forecast
from serving.wire.messages import build_message
from serving.wire.queue import DEAD_LETTERS, QUEUE
from serving.wire.tasks import PREDICT_ASYNC

log = structlog.get_logger(__name__)
SUPERVISION_INTERVAL_SECONDS = 1.0


class Dispatcher:
    """Dispatches the prediction requests of one API process."""

    def __init__(
        self,
        settings: ServingSettings,
        broker: Broker,
        results: ResultStore,
        revoke: Callable[[Sequence[str]], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`revoke` tells the workers to drop tasks; by default the ones on the broker of the settings."""
        self._settings = settings
        self._broker = broker
        self.results = results
        self._revoke = revoke or Revoker(settings).revoke
        self._clock = clock
        self._supervised_at = clock() - SUPERVISION_INTERVAL_SECONDS
        self.queues: list[QueueStats] = []
        self.broker_error: str | None = None
        """Why the broker did not answer when it was last polled."""
        self.consumers: list[ConsumerStatus] = []
        """Last reports of the workers' main processes."""
        self.worker_problem: str | None = None
        """Why no worker ended tasks when the broker was last polled; None if one did."""
        self._load = LoadEstimator()
        self._admission = Admission(settings, self._load, clock)
        self._in_flight = InFlightTasks(broker, results, self._load, settings.sync_timeout_seconds, clock)
        self._single_coalescer = RequestCoalescer(partial(self._in_flight.publish, Mode.SYNC))
        self._batch_coalescer = RequestCoalescer(partial(self._in_flight.publish, Mode.BATCH))
        self._poll_lock = asyncio.Lock()

    async def predict(self, fixture: Fixture, context: ClientRequest) -> bytes:
        """Forecast one match, as JSON; raises the worker's error. Concurrent requests share a task."""
        return encode_forecast(fixture, await self._submit_and_wait([fixture], context, self._single_coalescer))

    async def predict_batch(self, fixtures: list[Fixture], context: ClientRequest) -> EncodedForecasts:
        """Forecast many matches; the error of a match is among the forecasts. Concurrent requests share a task."""
        return await self._submit_and_wait(fixtures, context, self._batch_coalescer)

    async def _submit_and_wait(
        self, fixtures: list[Fixture], context: ClientRequest, coalescer: RequestCoalescer
    ) -> EncodedForecasts:
        self._admission.check_wait(context.route, self._in_flight.oldest_age())
        future: asyncio.Future[EncodedForecasts] = asyncio.get_running_loop().create_future()
        self._load.outstanding += len(fixtures)
        try:
            coalescer.submit(PendingRequest(fixtures, context, tracing.current_context(), future, self._clock()))
            return await future
        finally:
            self._load.outstanding -= len(fixtures)

    async def enqueue(self, fixture: Fixture, context: ClientRequest, task_id: str | None = None) -> str:
        """Put the asynchronous task of a match on the queue. A task whose id was returned always gets a result.

        Another request may be publishing the same given `task_id`, so a failure here does not remove its mark.
        """
        self._admission.check_queue(context.route, self._queue_length())
        is_new = task_id is None
        task_id = task_id or self.results.new_task_id()
        await self.results.mark_accepted(task_id)
        try:
            with tracing.spans("publish", [tracing.current_context()], task=PREDICT_ASYNC) as trace_contexts:
                message = build_message(
                    task_id,
                    PREDICT_ASYNC,
                    [fixture.to_wire()],
                    mode=Mode.ASYNC,
                    ttl_seconds=self._settings.result_ttl_seconds,
                    request_ids=[context.request_id],
                    trace_contexts=trace_contexts,
                    now=self.results.clock.now(),
                )
                await self._broker.publish(message)
        except BrokerUnavailableError:
            if is_new:
                with contextlib.suppress(TouchlineError):
                    await self.results.forget(task_id)
            raise
        self._load.count_published()
        return task_id

    async def supervise(self) -> None:
        """Run `supervise_once` every second, until cancelled."""
        while True:
            try:
                await self.supervise_once()
            except Exception as error:  # whatever failed is tried again a second later
                log.warning("dispatcher.supervision_failed", error=str(error), exc_info=error)
            await asyncio.sleep(SUPERVISION_INTERVAL_SECONDS)

    async def supervise_once(self) -> None:
        """Poll the broker, update the load estimate, and end abandoned and dead-lettered tasks."""
        now = self._clock()
        elapsed_seconds, self._supervised_at = now - self._supervised_at, now
        await self.poll_broker()
        self._load.update(elapsed_seconds, self._queue_length())
        await self._in_flight.cancel_disconnected()
        if abandoned := self._in_flight.pop_abandoned():
            await self._revoke(abandoned)
        await self._drain_dead_letters()

    async def poll_broker(self) -> None:
        """Ask the broker for its queues and workers. If it does not answer, `broker_error` says why."""
        async with self._poll_lock:  # one at a time, so that an older answer never replaces a newer one
            try:
                self.queues, self.broker_error = await self._broker.queue_stats(), None
            except BrokerUnavailableError as error:
                self.queues, self.broker_error = [], str(error)
            await self.results.poll()
            if self.results.problem is not None:  # workers cannot report; the last judgement stands
                return
            with contextlib.suppress(TouchlineError):
                self.consumers = await self.results.consumers()
                self.worker_problem = await self._judge_workers()
            self._admission.update_workers(any_alive=self.worker_problem is None)

    async def refresh(self) -> None:
        """Poll the broker, unless it or the store is away: then supervision asks them every second, with patience."""
        if self.broker_error is None and self.results.problem is None:
            await self.poll_broker()

    @property
    def no_workers(self) -> bool:
        """Whether no worker took and ended tasks when the broker was last polled."""
        return self._admission.no_workers

    def _queue_length(self) -> int:
        return next((queue.messages for queue in self.queues if queue.name == QUEUE), 0)

    async def _judge_workers(self) -> str | None:
        """Why no worker ends tasks; None if one does, or if that is unknown because the broker does not answer."""
        if self.broker_error is not None:
            return None
        older_workers = sum(worker.worker is None for worker in await self.results.workers())
        return worker_problem(
            queue_consumers=next((queue.consumers for queue in self.queues if queue.name == QUEUE), None),
            broker_id=self._broker.broker_id,
            consumers=self.consumers,
            older_workers=older_workers,
        )

    async def _drain_dead_letters(self) -> None:
        if any(queue.messages for queue in self.queues if queue.name == DEAD_LETTERS):
            try:
                await self._broker.drain_dead_letters(self.results.store_failure)
            except TouchlineError as error:
                log.warning("dead_letters.drain_failed", error=str(error))
