"""A worker's consumer that comes back soon after its broker does."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer


class SwiftConsumer(Consumer):  # type: ignore[misc]
    """Celery would wait up to half a minute between attempts, and its setting for that is the number of them only."""

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=0.2, interval_step=0.4, interval_max=2)
        return super().ensure_connected(conn)
