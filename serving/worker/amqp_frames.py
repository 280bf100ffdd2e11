"""Lets py-amqp survive messages whose properties it cannot read, and skip bodies that are too large.

Without this, a timestamp after the year 9999 or deeply nested headers end the worker's main process, and a body of
128 MB, which RabbitMQ accepts, is loaded before anything can refuse it.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack, unpack_from
from typing import Any

from amqp.basic_message import Message
from amqp.method_framing import frame_handler
from amqp.serialization import dumps

from serving.wire.dead_letters import TOO_LARGE, UNREADABLE
from serving.wire.limits import MAX_MESSAGE_BYTES

_HEADER, _BODY = 2, 3
_BASIC_CLASS = 60
_CONTENT_TYPE_ONLY = 0x8000

Frame = tuple[int, int, Any]


def tolerant_frame_handler(connection: Any, callback: Callable[..., Any]) -> Callable[[Frame], Any]:
    """py-amqp's handler of incoming frames, for its connection argument `frame_handler`."""
    handle = frame_handler(connection, callback)
    bytes_to_skip: dict[int, int] = {}

    def on_frame(frame: Frame) -> Any:
        kind, channel, content = frame
        if kind == _BODY and bytes_to_skip.get(channel, 0) > 0:
            connection.bytes_recv += 1
            bytes_to_skip[channel] -= len(content)
            return False
        if kind != _HEADER:
            return handle(frame)
        (size,) = unpack_from(">Q", content, 4)
        replacement = None
        if not _is_readable(content):
            replacement = UNREADABLE
        elif size > MAX_MESSAGE_BYTES:
            replacement = TOO_LARGE
        if replacement is None:
            return handle(frame)
        bytes_to_skip[channel] = size
        return handle((kind, channel, _header_without_body(replacement)))

    return on_frame


def _is_readable(content: Any) -> bool:
    try:
        Message().inbound_header(content)
    except Exception:  # whatever the bytes are, they are only a message
        return False
    return True


def _header_without_body(content_type: str) -> bytes:
    return pack(">HxxQH", _BASIC_CLASS, 0, _CONTENT_TYPE_ONLY) + bytes(dumps("s", [content_type]))
