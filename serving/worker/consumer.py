"""A worker's consumer that reconnects soon after its broker returns, and finishes its tasks before it stops."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from celery.exceptions import WorkerShutdown
from celery.worker import state
from celery.worker.consumer import Consumer

LOOP_STEP_SECONDS = 0.05
"""Longest sleep of the event loop while the last tasks run."""


class GracefulConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer backs off for up to 30 s when the broker is down and drops buffered tasks at shutdown.

    This one does neither.
    """

    loop: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._celery_loop, self.loop = self.loop, self._loop_then_finish

    def ensure_connected(self, conn: Any) -> Any:
        # Celery has a setting for the number of attempts, but none for the pause between them.
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=0.2, interval_step=0.4, interval_max=2)
        return super().ensure_connected(conn)

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
