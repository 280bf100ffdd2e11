"""kombu's transport for Redis, but an item of the list that is no message of kombu's is delivered as an unreadable one.

In kombu's own transport it ends the worker's main process, and the item is lost.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal
from uuid import uuid4

import msgspec
from kombu.transport import redis as kombu_redis
from redis import Redis

from serving.wire.dead_letters import TOO_LARGE, UNREADABLE
from serving.wire.limits import MAX_DEAD_LETTER_BYTES, MAX_HEADER_DEPTH, MAX_MESSAGE_BYTES
from serving.wire.queue import QUEUE

_MAX_ITEM_BYTES = MAX_MESSAGE_BYTES * 4 // 3 + 1_000_000
"""A body in base64 with the rest of its envelope."""
_ShortText = Annotated[str, msgspec.Meta(max_length=255)]


class _DeliveryInfo(msgspec.Struct):
    exchange: _ShortText
    routing_key: _ShortText | None = None


class _Properties(msgspec.Struct):
    delivery_tag: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64", "utf-8"] | None = None


class _Envelope(
    msgspec.Struct,
    rename={"content_type": "content-type", "content_encoding": "content-encoding"},
    forbid_unknown_fields=True,
):
    body: str
    properties: dict[str, Any]
    headers: dict[str, Any] = {}
    redelivered: bool | None = None
    content_type: _ShortText | None = None
    content_encoding: _ShortText | None = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_encode = msgspec.json.Encoder().encode


def readable(item: bytes) -> bytes:
    """The item itself if kombu can read it, else an envelope around it of the type `UNREADABLE` or `TOO_LARGE`."""
    if len(item) > _MAX_ITEM_BYTES:
        return _wrap(item, TOO_LARGE)
    try:
        envelope = _decode_envelope(item)
        if msgspec.convert(envelope.properties, _Properties).body_encoding == "base64":
            base64.b64decode(envelope.body.encode("ascii"))
        _check([envelope.properties, envelope.headers])
    except (ValueError, RecursionError):  # msgspec's, Unicode's and base64's errors are ValueErrors
        return _wrap(item, UNREADABLE)
    return item


def _check(value: Any, depth: int = 0) -> None:
    """Refuse what kombu's decoder could fail on: deep nesting, and documents that it would turn into Python types."""
    if depth > MAX_HEADER_DEPTH:
        raise ValueError("the headers are nested too deeply")
    if isinstance(value, dict) and "__type__" in value:
        raise ValueError("the headers have a Python type")
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _check(part, depth + 1)


def _wrap(item: bytes, content_type: str) -> bytes:
    properties = {
        "delivery_tag": str(uuid4()),
        "delivery_info": {"exchange": QUEUE, "routing_key": QUEUE},
        "body_encoding": "base64",
        "delivery_mode": 2,
        "priority": 0,
    }
    body = base64.b64encode(item[:MAX_DEAD_LETTER_BYTES]).decode()
    encoding = {"content-type": content_type, "content-encoding": "binary"}
    return _encode({"body": body, "headers": {}, "properties": properties, **encoding})


class _Client(Redis):
    """A client whose BRPOP returns only what kombu can read."""

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """Read a response."""
        response = super().parse_response(connection, command_name, **options)
        if command_name == "BRPOP" and response:
            queue, item = response
            return queue, readable(item)
        return response


class _QoS(kombu_redis.QoS):
    """The unacknowledged messages of a channel."""

    def restore_unacked(self, client: Any = None) -> list[Any]:
        """Put them back into the queue, unless the channel's connection has been closed already.

        Celery closes a lost connection twice. kombu would then look for the address of a broker that it has forgotten,
        and its AttributeError would end the worker. Redis delivers the messages again after the visibility timeout.
        """
        if self.channel.connection.client is None:
            return []
        return list(super().restore_unacked(client) or ())


class Channel(kombu_redis.Channel):
    """Reads the queue with a client that tolerates anything."""

    QoS = _QoS

    def _get_client(self) -> type[Redis]:
        return _Client


class Transport(kombu_redis.Transport):
    """The transport with this channel."""

    Channel = Channel
