"""The queue that tasks wait in, as the API and the worker both declare it."""

from __future__ import annotations

from typing import Any

from serving.wire.limits import MAX_DELIVERIES

QUEUE = "ml"
DEAD_LETTERS = "ml.dead"
QUEUE_ARGUMENTS: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": MAX_DELIVERIES,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD_LETTERS,
}
"""Arguments for RabbitMQ, which refuses a declaration that differs from the existing queue."""
DEAD_LETTER_ARGUMENTS: dict[str, Any] = {"x-queue-type": "quorum"}
MAX_DEAD_LETTERS = 1000
"""Letters that Redis keeps while no API reads them; the newest ones."""
