"""A task in Celery's message protocol 2."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from monitoring.metrics import Mode


@dataclass(frozen=True)
class Message:
    """One task, ready to be published."""

    task_id: str
    task: str
    args: list[Any]
    expires: str | None
    headers: Mapping[str, Any]

    def all_headers(self) -> dict[str, Any]:
        """The headers that a Celery worker needs, and ours. No others: each header costs time at every hop."""
        celery = {"lang": "py", "task": self.task, "id": self.task_id, "expires": self.expires}
        return {**celery, **self.headers}

    def body(self) -> bytes:
        """Arguments, keyword arguments and no callbacks, as JSON."""
        return orjson.dumps(
            [self.args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}],
            option=orjson.OPT_SERIALIZE_NUMPY,
        )


def build_message(
    task_id: str,
    task: str,
    args: list[Any],
    *,
    mode: Mode,
    ttl_seconds: float,
    request_ids: Sequence[str],
    trace_contexts: Sequence[Mapping[str, str]] = (),
    now: float | None = None,
) -> Message:
    """Build the message of a task that answers the requests `request_ids`.

    A task of mode ASYNC is marked as started in the result store when a worker begins with it. `now` is Unix time by
    the result store's clock, which API and workers share; without it, this machine's clock is used.
    """
    now = time.time() if now is None else now
    headers: dict[str, Any] = {"mode": mode, "request_ids": list(request_ids), "sent_at": now}
    traceparents = [context["traceparent"] for context in trace_contexts if "traceparent" in context]
    if traceparents:
        headers["traceparents"] = traceparents
    if mode is Mode.ASYNC:
        headers["track_started"] = True
    expires = datetime.fromtimestamp(now, UTC) + timedelta(seconds=ttl_seconds)
    return Message(task_id, task, args, expires.isoformat(), headers)
