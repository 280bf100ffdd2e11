"""Publishes any bytes and properties to the queue, as somebody who reaches the broker can."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import amqp
import orjson
from amqp.basic_message import Message
from redis import Redis

from serving.wire.queue import QUEUE

JSON = "application/json"


class _RawProperties(Message):  # type: ignore[misc]  # py-amqp has no types
    """A message whose properties are given bytes."""

    raw: bytes = b""

    def _serialize_properties(self) -> bytes:
        return self.raw


class RawPublisher:
    """Writes to the queue of a broker without any check."""

    def __init__(self, broker_url: str) -> None:
        self._is_amqp = broker_url.startswith("amqp")
        if self._is_amqp:
            parts = urlsplit(broker_url)
            self._address = f"{parts.hostname}:{parts.port}"
            self._connect()
        else:
            self._redis = Redis.from_url(broker_url)

    def close(self) -> None:
        if self._is_amqp:
            self._connection.close()
        else:
            self._redis.close()

    def send(
        self,
        headers: dict[str, Any],
        body: bytes,
        content_type: Any = JSON,
        content_encoding: Any = "utf-8",
    ) -> None:
        """Publish a message in the envelope that the broker expects."""
        if self._is_amqp:
            message = Message(
                body, application_headers=headers, content_type=content_type, content_encoding=content_encoding
            )
            self._publish(message)
            return
        envelope = {
            "body": base64.b64encode(body).decode(),
            "content-type": content_type,
            "content-encoding": content_encoding,
            "headers": headers,
            "properties": {
                "delivery_tag": str(uuid4()),
                "delivery_info": {"exchange": QUEUE, "routing_key": QUEUE},
                "body_encoding": "base64",
            },
        }
        self.send_raw(orjson.dumps(envelope))

    def send_raw(self, content: bytes) -> None:
        """Publish bytes: on Redis as the whole item, on RabbitMQ as the properties of a message."""
        if self._is_amqp:
            message = _RawProperties(b"{}")
            message.raw = content
            self._publish(message)
        else:
            self._redis.lpush(QUEUE, content)

    def _publish(self, message: Message) -> None:
        try:
            self._channel.basic_publish(message, exchange=QUEUE, routing_key=QUEUE, timeout=20, confirm_timeout=20)
        except amqp.AMQPError:  # RabbitMQ itself refuses some headers, and closes the connection
            self._connect()

    def _connect(self) -> None:
        self._connection = amqp.Connection(self._address, confirm_publish=True)
        self._connection.connect()
        self._channel = self._connection.channel()
