"""Tasks that wait together share one call of the worker's child: adaptive, without a timer.

Every request stays a task of its own with its own acknowledgement. The worker's main process hands all tasks that have
arrived to the pool as one call whenever a child is free: at low load a task goes at once, under load batches grow.
A task that comes back because a child died runs alone, so that a poisonous one cannot take others down again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery import Celery, signals
from celery.concurrency.base import BasePool
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.request import Request
from redis import RedisError

from serving.worker.execution import Call, Report, matches, run

log = get_logger(__name__)
LOSSES = 3
"""Children that a task may take down before it is given up."""
TIME_LIMIT = 120.0
"""Seconds after which a child is taken for stuck."""
MATCHES = 1000
"""Most matches that share one call, unless a single task has more: the next tasks wait for all of them."""


class Batcher:
    """Tasks that wait for a child of the pool."""

    def __init__(self, app: Celery, pool: BasePool, limit: int, on_report: Callable[[Report], None]) -> None:
        self._app = app
        self._pool = pool
        self._limit = limit
        self._on_report = on_report
        self._waiting: deque[Request] = deque()
        self._running = 0

    @property
    def busy(self) -> bool:
        """Whether tasks wait or run."""
        return bool(self._waiting or self._running)

    def add(self, request: Request) -> None:
        """Take a task over; it runs now if a child is free."""
        self._waiting.append(request)
        self.flush()

    def flush(self) -> None:
        """Give free children what waits."""
        while self._waiting and self._running < self._pool.num_processes and state.should_terminate is None:
            batch = self._next()
            if batch:
                self._start(batch)

    def _next(self) -> list[Request]:
        batch: list[Request] = []
        count = 0
        while self._waiting and len(batch) < self._limit:
            request = self._waiting[0]
            alone = request.delivery_info.get("redelivered")
            count += matches(request.type, request.args)
            if batch and (alone or count > MATCHES):
                break
            self._waiting.popleft()
            if not request.revoked():  # revoked or expired: reported and acknowledged by Celery
                batch.append(request)
            if alone:
                break
        return batch

    def _start(self, batch: list[Request]) -> None:
        self._running += 1
        accepted: list[float] = []

        def on_accepted(pid: int, _: float) -> None:
            accepted.append(pid)
            for request in batch:
                request.worker_pid = pid
                state.task_accepted(request)

        def on_success(report: Report) -> None:
            self._running -= 1
            for request in batch:
                state.task_ready(request, successful=True)
                request.acknowledge()
            self.flush()
            self._on_report(report)

        def on_failure(info: ExceptionInfo) -> None:
            self._running -= 1
            error = info.exception
            if isinstance(error, ExceptionWithTraceback):
                error = error.exc
            lost = isinstance(error, WorkerLostError | TimeLimitExceeded)
            log.error("batch lost: %r; %s", error, _who(batch))
            try:
                for request in batch:
                    state.task_ready(request)
                    if lost and len(batch) == 1 and self._given_up(request):
                        request.acknowledge()
                    else:
                        request.reject(requeue=True)
            finally:
                self.flush()

        def on_timeout(soft: bool, timeout: float) -> None:  # noqa: ARG001 - called by name
            log.error("batch ran longer than %s s; %s", timeout, _who(batch))

        self._pool.apply_async(
            run,
            args=([_call(request) for request in batch],),
            accept_callback=on_accepted,
            callback=on_success,
            error_callback=on_failure,
            timeout_callback=on_timeout,
            timeout=TIME_LIMIT,
        )

    def _given_up(self, request: Request) -> bool:
        """Count a child that this task took down; report the task as failed when it is enough."""
        backend = request.task.backend
        key = f"touchline:losses:{request.id}"
        try:
            losses = int(backend.client.incr(key))
            backend.client.expire(key, 3600)
            if losses < LOSSES:
                return False
            error = WorkerLostError(f"{losses} worker processes ended while they ran this task")
            backend.mark_as_failure(request.id, error, request=request._context)
        except (RedisError, OSError) as away:
            log.warning("losses of %s not counted: %s", request.id, away)
            return False
        return True


def _who(batch: Sequence[Request]) -> str:
    told = [f"{one.id} of requests {', '.join(one.request_dict.get('request_ids') or ())}" for one in batch]
    return f"tasks {'; '.join(told)}"


def _call(request: Request) -> Call:
    headers = request.request_dict
    return Call(
        task_id=request.id,
        task=request.type,
        args=request.args,
        request_ids=tuple(headers.get("request_ids") or ()),
        traceparents=tuple(headers.get("traceparents") or ()),
        sent_at=headers.get("sent_at"),
        track=bool(headers.get("track_started")),
        received_at=time.time(),
    )


def strategy(task: Any, app: Celery, consumer: Any, **_: Any) -> Callable[..., None]:
    """How the worker's main process handles a message of a batched task (`Task.Strategy`)."""
    batcher: Batcher | None = getattr(consumer, "touchline_batcher", None)
    if batcher is None or consumer.touchline_connection is not consumer.connection:
        batcher = Batcher(app, consumer.pool, app.conf.touchline_batch_limit, app.conf.touchline_on_report)
        consumer.touchline_batcher, consumer.touchline_connection = batcher, consumer.connection
    revoked = consumer.controller.state.revoked

    def handle(message: Any, _body: Any, ack: Any, reject: Any, callbacks: Any, **_: Any) -> None:
        request = Request(
            message,
            on_ack=ack,
            on_reject=reject,
            app=app,
            hostname=consumer.hostname,
            eventer=consumer.event_dispatcher,
            task=task,
            connection_errors=consumer.connection_errors,
            body=message.body,
            headers=message.headers,
            decoded=False,
        )
        if (request.expires or request.id in revoked) and request.revoked():
            return
        signals.task_received.send(sender=consumer, request=request)
        state.task_reserved(request)
        for callback in callbacks or ():
            callback(request)
        batcher.add(request)

    return handle
