"""A worker's consumer that reconnects soon after its broker returns, and finishes its tasks before it stops."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec
from celery.exceptions import WorkerShutdown
from celery.worker import state
from celery.worker.consumer import Consumer

from serving.wire.consumer_status import BROKER_ID_KEY
from serving.wire.dead_letters import RefusalKind
from serving.wire.queue import QUEUE
from serving.wire.received_messages import ReceivedTask, RefusedMessageError, read_task
from serving.worker.consumption import LOOP_INTERVAL_SECONDS
from serving.worker.dead_letters import DeadLetters
from serving.worker.dependencies import get_consumption, get_redis_of_main_process, get_store_clock

LOOP_STEP_SECONDS = 0.05
"""Longest sleep of the event loop while the last tasks run."""


class GracefulConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer backs off for up to 30 s when the broker is down and drops buffered tasks at shutdown.

    This one does neither.
    """

    loop: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dead_letters = DeadLetters(
            self.app, get_redis_of_main_process, self.connection_errors + self.channel_errors
        )
        self._consumption, self._clock = get_consumption(), get_store_clock()
        self._celery_loop, self.loop = self.loop, self._loop_then_finish

    def ensure_connected(self, conn: Any) -> Any:
        # Celery has a setting for the number of attempts, but none for the pause between them.
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=0.2, interval_step=0.4, interval_max=2)
        return super().ensure_connected(conn)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """What handles each message of the queue: Celery's handler, with nothing but messages that have been checked.

        Celery's own checks let many messages end this process, and leave others unacknowledged for ever.
        """
        run = super().create_task_handler(*args, **kwargs)
        self._consumption.watch(self.task_consumer.channel)

        def handle(message: Any) -> None:
            self._consumption.add(message.delivery_tag)
            try:
                task = read_task(message.headers, message.body, message.content_type, message.content_encoding)
            except RefusedMessageError as refusal:
                self.dead_letters.take(message, refusal.kind, str(refusal))
                return
            # From here on, nothing reads what has not been checked.
            message.headers = msgspec.structs.asdict(task.headers) | {"eta": None, "expires": self._expiry(task)}
            message.body = ([task.argument], {}, {})
            run(message)

        return handle

    def _expiry(self, task: ReceivedTask) -> str | None:
        """When the task expires by the clock of this machine, which Celery will compare it with."""
        try:
            moment = None if task.expires_at is None else task.expires_at + self._clock.skew_seconds
            return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()
        except (ValueError, OverflowError):  # at the end of the calendar
            return None

    def register_with_event_loop(self, hub: Any) -> None:
        """Report that the event loop runs, and what it consumes, for as long as this connection lasts."""
        super().register_with_event_loop(hub)
        hub.timer.call_repeatedly(LOOP_INTERVAL_SECONDS, self._report)
        hub.call_soon(self._report)

    def _report(self) -> None:
        if self.task_consumer is None:  # the worker stops
            return
        channel, broker_id = self.task_consumer.channel, None
        if hasattr(channel, "conn_or_acquire"):  # Redis
            identity = str(uuid4())
            with channel.conn_or_acquire() as redis:
                known = redis.get(BROKER_ID_KEY)  # a Redis that is full still answers this
                known = known or redis.set(BROKER_ID_KEY, identity, nx=True, get=True) or identity.encode()
            broker_id = known.decode(errors="replace")
        self._consumption.report(self.task_consumer.consuming_from(QUEUE), broker_id)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Refuse a message that kombu could not read."""
        self.dead_letters.take(message, RefusalKind.UNREADABLE, f"it cannot be read: {exc}")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery passes it
        """Refuse a message that is no task."""
        self.dead_letters.take(message, RefusalKind.HEADERS, f"it is not a task: {exc}")

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002 - Celery passes it
        """Refuse a message without a task's headers."""
        self.dead_letters.take(message, RefusalKind.HEADERS, "it is not a task")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery passes it
        """Refuse a task of another version; the API then publishes it again."""
        self.dead_letters.take(message, RefusalKind.UNKNOWN_TASK, f"unregistered task {exc}")

    def _loop_then_finish(self, *args: Any) -> None:
        try:
            self._celery_loop(*args)
        except WorkerShutdown:
            with suppress(*self.connection_errors):  # the broker then redelivers what is left to another worker
                self._finish()
            raise

    def _finish(self) -> None:
        """Accept no more tasks, run those that were accepted, and acknowledge them before the pool is closed."""
        self.task_consumer.cancel()
        batcher = getattr(self, "touchline_batcher", None)
        while batcher is not None and batcher.busy and state.should_terminate is None:
            self._run_loop_once()
        self._run_loop_once()  # sends the last acknowledgements

    def _run_loop_once(self) -> None:
        self.hub.call_later(LOOP_STEP_SECONDS, lambda: None)
        next(self.hub.create_loop(), None)
