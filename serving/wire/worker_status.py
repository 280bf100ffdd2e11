"""The status that each child process of a worker reports to the result store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec

WORKER_REGISTRY_KEY = "touchline:workers"
"""Hash of `WorkerStatus` documents by worker name."""
WORKER_TTL = timedelta(seconds=10)
"""A child process that has not reported for this long counts as gone."""


_Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The status of a child process. The fields about the model are None until it has loaded one."""

    name: str
    pid: int
    seen_at: _Timestamp
    worker: str | None = None
    """Name of its main process's `ConsumerStatus`; None in version 0.1, whose main processes do not report."""
    error: str | None = None
    """Why the model, the team states or the odds are not the newest ones."""
    model_name: str | None = None
    model_version: int | None = None
    loaded_at: _Timestamp | None = None
    created_at: _Timestamp | None = None
    trained_through: _Timestamp | None = None
    features: list[str] = []
    tags: dict[str, str] = {}


encode_status = msgspec.json.Encoder().encode
decode_status = msgspec.json.Decoder(WorkerStatus).decode
