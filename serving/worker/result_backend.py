"""Celery's view of the result store.

Celery's own backend waits for a store that is away, and ends the worker if one is full. This one does neither: results
are stored by `serving.worker.execution`, and Celery only announces tasks that it drops.
"""

from __future__ import annotations

import time
from typing import Any

from celery.backends.base import DisabledBackend
from celery.utils.log import get_logger
from redis import Redis, RedisError

from serving.wire.results import STORE_FIRST_AND_ANNOUNCE, encode_revoked, result_key
from serving.worker.dependencies import get_redis_of_main_process

log = get_logger(__name__)
PAUSE_SECONDS = 5.0
"""Time without an attempt after one that failed: the event loop waits a second for each."""


class ResultBackend(DisabledBackend):  # type: ignore[misc]  # Celery has no types
    """Belongs to the worker's main process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._failed_at = float("-inf")

    @property
    def client(self) -> Redis:
        """The connection to the store."""
        return get_redis_of_main_process()

    def mark_as_revoked(self, task_id: str, *_: Any, **__: Any) -> None:
        """Announce that a task is dropped. If the store is away its clients learn it from their own clocks."""
        if time.monotonic() - self._failed_at < PAUSE_SECONDS:
            return
        try:
            ttl_seconds = self.app.conf.touchline_result_ttl_seconds
            self.client.eval(STORE_FIRST_AND_ANNOUNCE, 1, result_key(task_id), encode_revoked(task_id), ttl_seconds)
        except (RedisError, OSError) as error:
            self._failed_at = time.monotonic()
            log.warning("dropped task %s not announced: %s", task_id, error)
