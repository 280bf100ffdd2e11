"""What a worker writes beside a message that it refused, so that the API can tell those who wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from serving.errors import IncompatibleWorkerError, MalformedMessageError, TaskFailedError

KIND_HEADER = "touchline_refusal"
REASON_HEADER = "touchline_reason"
UNREADABLE = "application/x-touchline-unreadable"
"""Content type that a worker's transport gives a message whose envelope or properties it cannot read."""
TOO_LARGE = "application/x-touchline-too-large"
"""Content type that a worker's transport gives a message that it did not load."""


class RefusalKind(StrEnum):
    """Why a worker refused a message."""

    UNREADABLE = "unreadable"
    """Its properties, envelope, compression or content type cannot be used."""
    TOO_LARGE = "too_large"
    HEADERS = "headers"
    BODY = "body"
    ARGUMENTS = "arguments"
    UNKNOWN_TASK = "unknown_task"
    """A task that this version does not have; during an upgrade these are expected."""


def refusal_error(kind: RefusalKind, reason: str) -> TaskFailedError | IncompatibleWorkerError:
    """What those who wait for the task are told."""
    if kind is RefusalKind.UNKNOWN_TASK:
        return IncompatibleWorkerError(f"a worker of another version does not know the task {reason}")
    return MalformedMessageError(f"the worker refused the task: {reason}")


def dead_letter_error(headers: Mapping[str, Any]) -> TaskFailedError | IncompatibleWorkerError:
    """Why a message is among the dead letters, by its headers.

    Those that a worker of version 0.1 rejected have no reason; it rejected only tasks that it did not know.
    """
    kind, reason = headers.get(KIND_HEADER), headers.get(REASON_HEADER)
    if isinstance(reason, str) and kind in list(RefusalKind):
        return refusal_error(RefusalKind(kind), reason)
    if headers.get("x-first-death-reason") == "rejected":
        return refusal_error(RefusalKind.UNKNOWN_TASK, str(headers.get("task")))
    return TaskFailedError("every worker that started this task exited before finishing it")
