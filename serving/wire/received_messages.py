"""Reads a message of the queue, which may hold anything: whoever reaches the broker can write to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from serving.errors import MalformedMessageError
from serving.wire.dead_letters import TOO_LARGE, UNREADABLE, RefusalKind
from serving.wire.limits import MAX_MATCHES_PER_TASK, MAX_MESSAGE_BYTES
from serving.wire.tasks import PREDICT_COLUMNS

_ShortText = Annotated[str, msgspec.Meta(max_length=255)]
MAX_QUOTED = 60
"""Characters of a wrong value that a reason repeats."""


class RefusedMessageError(MalformedMessageError):
    """A message that no worker can run, with the kind that counts it."""

    def __init__(self, message: str, kind: RefusalKind = RefusalKind.UNREADABLE) -> None:
        super().__init__(message)
        self.kind = kind


class TaskHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """The headers that are used. Others are ignored, because another release or a Celery client may add them."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    task: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    expires: str | None = None
    eta: str | None = None
    mode: _ShortText | None = None
    request_ids: list[str] | None = None
    traceparents: list[_ShortText] | None = None
    sent_at: float | None = None
    track_started: bool | None = None


class _Matches(msgspec.Struct):
    """The part of a columnar task that the main process of a worker needs; a child reads the rest."""

    matches: Annotated[int, msgspec.Meta(ge=1, le=MAX_MATCHES_PER_TASK)]


_Body = tuple[tuple[dict[str, Any]], dict[Any, Any], dict[Any, Any] | None]
_decode_body = msgspec.json.Decoder(_Body).decode


@dataclass(frozen=True)
class ReceivedTask:
    """A message that has the form of a task."""

    headers: TaskHeaders
    argument: dict[str, Any]
    expires_at: float | None
    """Unix time after which nobody waits for the result."""


def read_task(headers: Mapping[str, Any], body: object, content_type: object, content_encoding: object) -> ReceivedTask:
    """Check everything but the matches themselves; raises RefusedMessageError, whose text names what is wrong."""
    if content_type == UNREADABLE:
        raise RefusedMessageError("its properties or its envelope cannot be read")
    if content_type == TOO_LARGE:
        raise RefusedMessageError(f"the body has more than {MAX_MESSAGE_BYTES:,} bytes", RefusalKind.TOO_LARGE)
    if content_type != "application/json" or str(content_encoding or "utf-8").lower() not in {"utf-8", "utf8"}:
        found = f"{_quote(content_type)} in {_quote(content_encoding)}"
        raise RefusedMessageError(f"ContentDisallowed: it must be application/json in utf-8, not {found}")
    if headers.get("compression"):
        raise RefusedMessageError(
            f"the body must not be compressed, but its compression is {_quote(headers['compression'])}"
        )
    try:
        checked = msgspec.convert(dict(headers), TaskHeaders)
    except (msgspec.ValidationError, RecursionError, TypeError, ValueError) as error:
        raise RefusedMessageError(f"headers: {error}", RefusalKind.HEADERS) from error
    expires_at = _timestamp("expires", checked.expires)
    _timestamp("eta", checked.eta)  # a task starts as soon as it can, as the matches of a request do
    if checked.sent_at is not None and not math.isfinite(checked.sent_at):
        raise RefusedMessageError(f"headers: sent_at must be a Unix time, not {checked.sent_at}", RefusalKind.HEADERS)
    return ReceivedTask(checked, _read_argument(checked.task, body), expires_at)


def _timestamp(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        reason = f"headers: {name} must be an ISO 8601 timestamp, not {_quote(text)}"
        raise RefusedMessageError(reason, RefusalKind.HEADERS) from error


def _read_argument(task: str, body: object) -> dict[str, Any]:
    content = body.encode() if isinstance(body, str) else bytes(body) if isinstance(body, memoryview) else body
    if not isinstance(content, bytes | bytearray):
        raise RefusedMessageError("the body is empty", RefusalKind.BODY)
    if len(content) > MAX_MESSAGE_BYTES:
        reason = f"the body has {len(content):,} bytes; at most {MAX_MESSAGE_BYTES:,} are allowed"
        raise RefusedMessageError(reason, RefusalKind.TOO_LARGE)
    try:
        (argument,), keyword_arguments, _ = _decode_body(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = f"the body must be [[argument], {{}}, callbacks] in JSON: {error}"
        raise RefusedMessageError(reason, RefusalKind.BODY) from error
    if keyword_arguments:
        raise RefusedMessageError("the task takes its argument by position, not by keyword", RefusalKind.ARGUMENTS)
    if task == PREDICT_COLUMNS:
        try:
            msgspec.convert(argument, _Matches)
        except msgspec.ValidationError as error:
            raise RefusedMessageError(f"argument: {error}", RefusalKind.ARGUMENTS) from error
    return dict(argument)


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"
