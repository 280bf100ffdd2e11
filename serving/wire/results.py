"""Results of tasks as the result store holds them, in Celery's format, and the keys of accepted tasks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from serving.errors import to_wire

STORE_FIRST_AND_ANNOUNCE = """
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
    """Key of a result, and the channel on which it is announced; both are the same as in Celery's own Redis backend."""
    return f"celery-task-meta-{task_id}"


def accepted_key(task_id: str) -> str:
    """Key that is set when a task is accepted, and says `started` once a worker has it."""
    return f"touchline:task:{task_id}"


def encode_result(task_id: str, result: Any) -> bytes:
    """Celery's stored document of a task; `result` is JSON-compatible, or the exception that the task ended with."""
    failed = isinstance(result, Exception)
    return _encode(task_id, "FAILURE" if failed else "SUCCESS", to_wire(result) if failed else result)


def encode_revoked(task_id: str) -> bytes:
    """The document of a task that had expired or was revoked before a worker began with it."""
    error = {"exc_type": "TaskRevokedError", "exc_message": ["expired"], "exc_module": "celery.exceptions"}
    return _encode(task_id, "REVOKED", error)


def _encode(task_id: str, status: str, result: Any) -> bytes:
    return orjson.dumps(
        {
            "status": status,
            "result": result,
            "traceback": None,
            "children": [],
            "date_done": datetime.now(UTC).isoformat(),
            "task_id": task_id,
        }
    )
