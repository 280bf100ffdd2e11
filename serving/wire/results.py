"""What the result store holds: results in Celery's format, accepted tasks, and the status of each child process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import orjson

from serving.errors import from_wire, to_wire

WORKER_REGISTRY_KEY = "touchline:workers"
"""Hash of `WorkerStatus` documents by worker name."""
WORKER_TTL = timedelta(seconds=10)
"""A child process that has not reported for this long counts as gone."""
STORE_FIRST_AND_PUBLISH = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then
    redis.call('PUBLISH', KEYS[1], ARGV[1])
else
    redis.call('PUBLISH', KEYS[1], redis.call('GET', KEYS[1]))
end
"""
"""Lua: store a result under KEYS[1] unless there is one, for ARGV[2] seconds, and announce the one that is stored.

A task that ran twice because its worker died is therefore answered by its first run.
"""


def result_key(task_id: str) -> str:
    """Key of a result, and channel on which it is announced: both as in Celery's own Redis backend."""
    return f"celery-task-meta-{task_id}"


def accepted_key(task_id: str) -> str:
    """Key that is set when a task is accepted, and says `started` once a worker has it."""
    return f"touchline:task:{task_id}"


def encode_result(task_id: str, result: Any) -> bytes:
    """Celery's stored document of a task; `result` is JSON-compatible, or the exception that the task ended with."""
    failed = isinstance(result, Exception)
    return orjson.dumps(
        {
            "status": "FAILURE" if failed else "SUCCESS",
            "result": to_wire(result) if failed else result,
            "traceback": None,
            "children": [],
            "date_done": datetime.now(UTC).isoformat(),
            "task_id": task_id,
        }
    )


def parse_result(stored: dict[str, Any]) -> Any:
    """The result in a stored document; raises the error if the task failed."""
    if stored["status"] == "SUCCESS":
        return stored["result"]
    raise from_wire(stored["result"])


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a child process reports of itself. The fields about the model are None until it has loaded one."""

    name: str
    pid: int
    seen_at: datetime
    error: str | None = None
    """Why the model, the team states or the odds are not the newest ones."""
    model_name: str | None = None
    model_version: int | None = None
    loaded_at: datetime | None = None
    created_at: datetime | None = None
    trained_through: datetime | None = None
    features: list[str] = []
    tags: dict[str, str] = {}


encode_status = msgspec.json.Encoder().encode
decode_status = msgspec.json.Decoder(WorkerStatus).decode
