"""Adaptive batching without a timer: waiting tasks share one call of a child process.

Every task keeps its own message and acknowledgement. Whenever a child is free, the worker's main process passes all
waiting tasks to the pool as one call. At low load a task runs at once; under load batches grow. A task that is
redelivered because a child died runs alone, so that it cannot fail others again if it was the cause.
"""

from __future__ import annotations

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

from monitoring.metrics import Mode
from serving.errors import TaskFailedError
from serving.wire.dead_letters import RefusalKind
from serving.wire.limits import CALL_TIME_LIMIT_SECONDS, MAX_MATCHES_PER_CALL, MAX_WORKER_CRASHES
from serving.wire.results import STORE_FIRST_AND_ANNOUNCE, encode_result, result_key
from serving.wire.tasks import PREDICT_ASYNC
from serving.worker.execution import BatchReport, TaskInvocation, count_matches, execute_batch_in_child

log = get_logger(__name__)
_CRASH_COUNT_TTL_SECONDS = 3600


class Batcher:
    """Tasks that wait for a child of the pool."""

    def __init__(
        self,
        app: Celery,
        pool: BasePool,
        max_tasks: int,
        on_report: Callable[[BatchReport], None],
        refuse: Callable[[Any, RefusalKind, str], None] | None = None,
    ) -> None:
        """`refuse` moves a message to the dead letters, with the kind of its fault and the reason."""
        self._refuse = refuse
        self._app = app
        self._pool = pool
        self._max_tasks = max_tasks
        self._on_report = on_report
        self._waiting: deque[Request] = deque()
        self._running = 0

    @property
    def busy(self) -> bool:
        """Whether tasks wait or run."""
        return bool(self._waiting or self._running)

    def add(self, request: Request) -> None:
        """Accept a task; it runs now if a child is free."""
        self._waiting.append(request)
        self.flush()

    def flush(self) -> None:
        """Hand waiting tasks to free children."""
        while self._waiting and self._running < self._pool.num_processes and state.should_terminate is None:
            batch = self._next_batch()
            if batch:
                self._start(batch)

    def _next_batch(self) -> list[Request]:
        batch: list[Request] = []
        matches = 0
        while self._waiting and len(batch) < self._max_tasks:
            request = self._waiting[0]
            redelivered = request.delivery_info.get("redelivered")
            matches += count_matches(request.type, request.args)
            if batch and (redelivered or matches > MAX_MATCHES_PER_CALL):
                break
            self._waiting.popleft()
            if not request.revoked():  # Celery reports and acknowledges a task that was revoked or has expired
                batch.append(request)
            if redelivered:
                break
        return batch

    def _start(self, batch: list[Request]) -> None:
        self._running += 1

        def on_accepted(pid: int, _: float) -> None:
            for request in batch:
                request.worker_pid = pid
                state.task_accepted(request)

        def on_success(report: BatchReport) -> None:
            self._running -= 1
            for index, request in enumerate(batch):
                state.task_ready(request, successful=True)
                if index not in report.refused:
                    request.acknowledge()
                elif self._refuse is None:
                    request.reject(requeue=False)
                else:
                    self._refuse(request.message, RefusalKind.ARGUMENTS, report.refused[index])
            self.flush()
            self._on_report(report)

        def on_failure(info: ExceptionInfo) -> None:
            self._running -= 1
            error = info.exception
            if isinstance(error, ExceptionWithTraceback):
                error = error.exc
            crashed = isinstance(error, WorkerLostError | TimeLimitExceeded)
            log.error("batch failed: %r; %s", error, _describe(batch))
            try:
                for request in batch:
                    state.task_ready(request)
                    if crashed and len(batch) == 1 and self._exceeds_crash_limit(request):
                        request.acknowledge()
                    else:
                        request.reject(requeue=True)
            finally:
                self.flush()

        def on_timeout(soft: bool, timeout: float) -> None:  # noqa: ARG001 - called by name
            log.error("batch ran longer than %s s; %s", timeout, _describe(batch))

        self._pool.apply_async(
            execute_batch_in_child,
            args=([_to_invocation(request) for request in batch],),
            accept_callback=on_accepted,
            callback=on_success,
            error_callback=on_failure,
            timeout_callback=on_timeout,
            timeout=CALL_TIME_LIMIT_SECONDS,
        )

    def _exceeds_crash_limit(self, request: Request) -> bool:
        """Count a child that this task crashed; at the limit, store the task's failure."""
        client = request.task.backend.client
        crashes_key = f"touchline:crashes:{request.id}"
        try:
            crashes = int(client.incr(crashes_key))
            client.expire(crashes_key, _CRASH_COUNT_TTL_SECONDS)
            if crashes < MAX_WORKER_CRASHES:
                return False
            error = TaskFailedError(f"{crashes} worker processes crashed while they ran this task")
            document, ttl_seconds = encode_result(request.id, error), self._app.conf.touchline_result_ttl_seconds
            client.eval(STORE_FIRST_AND_ANNOUNCE, 1, result_key(request.id), document, ttl_seconds)
        except (RedisError, OSError) as store_error:
            log.warning("crashes of task %s not counted: %s", request.id, store_error)
            return False
        return True


def _describe(batch: Sequence[Request]) -> str:
    tasks = [f"{task.id} of requests {', '.join(task.request_dict.get('request_ids') or ())}" for task in batch]
    return f"tasks {'; '.join(tasks)}"


def _to_invocation(request: Request) -> TaskInvocation:
    headers = request.request_dict
    modes = {mode.value: mode for mode in Mode}
    default = Mode.ASYNC if request.type == PREDICT_ASYNC else Mode.SYNC  # up to version 0.1 the header did not exist
    return TaskInvocation(
        task_id=request.id,
        task=request.type,
        args=request.args,
        mode=modes.get(headers.get("mode"), default),
        request_ids=tuple(headers.get("request_ids") or ()),
        traceparents=tuple(headers.get("traceparents") or ()),
        sent_at=headers.get("sent_at"),
        track=bool(headers.get("track_started")),
    )


def strategy(task: Any, app: Celery, consumer: Any, **_: Any) -> Callable[..., None]:
    """How the worker's main process handles a message of our tasks (Celery's `Task.Strategy`).

    Celery finds this function by the string in `serving.worker.tasks.STRATEGY`. The `touchline_` settings are set in
    `serving.worker.app.configuration`.
    """
    batcher: Batcher | None = getattr(consumer, "touchline_batcher", None)
    if batcher is None or consumer.touchline_connection is not consumer.connection:
        batcher = Batcher(
            app,
            consumer.pool,
            app.conf.touchline_batch_size,
            app.conf.touchline_on_report,
            consumer.dead_letters.take,
        )
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
            # A Redis that is full or read-only refuses to settle a message: it is redelivered, and the worker runs on.
            connection_errors=consumer.connection_errors + consumer.channel_errors,
            body=message.body,
            headers=message.headers,
            decoded=True,  # `serving.worker.consumer` has checked and decoded it
        )
        if (request.expires or request.id in revoked) and request.revoked():
            return
        signals.task_received.send(sender=consumer, request=request)
        state.task_reserved(request)
        for callback in callbacks or ():
            callback(request)
        batcher.add(request)

    return handle
