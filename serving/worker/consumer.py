"""A worker's consumer that comes back soon after its broker does, and leaves nothing half-done when it is stopped."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from celery.exceptions import WorkerShutdown
from celery.worker import state
from celery.worker.consumer import Consumer

_ROUND = 0.05
"""Seconds that the event loop sleeps at most while the last tasks run."""


class SwiftConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's own waits for its broker up to half a minute, and stops with tasks in hand that no child has yet."""

    loop: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loop, self.loop = self.loop, self._loop_and_finish

    def ensure_connected(self, conn: Any) -> Any:
        # Celery's setting for this is the number of attempts only.
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=0.2, interval_step=0.4, interval_max=2)
        return super().ensure_connected(conn)

    def _loop_and_finish(self, *args: Any) -> None:
        try:
            self._loop(*args)
        except WorkerShutdown:
            with suppress(*self.connection_errors):  # then what is left comes back to another worker
                self._finish()
            raise

    def _finish(self) -> None:
        """Take no more tasks, run those in hand, acknowledge them. Celery would close the pool under them."""
        self.task_consumer.cancel()
        batcher = getattr(self, "touchline_batcher", None)
        while batcher is not None and batcher.busy and state.should_terminate is None:
            self._turn()
        self._turn()  # acknowledgements wait for it

    def _turn(self) -> None:
        self.hub.call_later(_ROUND, lambda: None)
        next(self.hub.create_loop(), None)
