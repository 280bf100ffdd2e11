"""A pickled task message, which would run code in a worker that loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from kombu.connection import Connection
from kombu.entity import Exchange


class _TouchesFile:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._file,))


def publish_pickle(broker_url: str, task: str, file: Path) -> None:
    """Publish a task whose pickled argument creates `file` where it is loaded."""
    headers = {"lang": "py", "task": task, "id": str(uuid4()), "root_id": None, "parent_id": None}
    with Connection(broker_url) as connection:
        exchange = Exchange("ml", type="topic" if broker_url.startswith("amqp") else "direct")
        connection.Producer().publish(
            [[_TouchesFile(file)], {}, {}], serializer="pickle", exchange=exchange, routing_key="ml", headers=headers
        )
