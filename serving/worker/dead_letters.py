"""Moves messages that no worker can run to the dead letters, with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from celery import Celery
from celery.utils.log import get_logger
from kombu.entity import Queue
from redis import Redis, RedisError

from monitoring import metrics
from serving.wire.dead_letters import KIND_HEADER, REASON_HEADER, RefusalKind, refusal_error
from serving.wire.limits import MAX_DEAD_LETTER_BYTES
from serving.wire.queue import DEAD_LETTER_ARGUMENTS, DEAD_LETTERS, MAX_DEAD_LETTERS
from serving.wire.results import STORE_FIRST_AND_ANNOUNCE, encode_result, result_key

log = get_logger(__name__)
_TASK_ID = re.compile(r"[\w.:-]{1,255}")
_MAX_REASON_LENGTH = 500


class DeadLetters:
    """Takes messages that a worker refuses.

    The letter is a new message, because the refused one may have properties that the API cannot read either.
    """

    def __init__(
        self, app: Celery, results: Callable[[], Redis], connection_errors: tuple[type[Exception], ...] = ()
    ) -> None:
        """`results` gives a client whose short timeouts bound the pause of the worker's event loop.

        After one of `connection_errors` the broker delivers the message again.
        """
        self._connection_errors = connection_errors
        self._app = app
        self._results = results

    def take(self, message: Any, kind: RefusalKind, reason: str) -> None:
        """Keep a message with its reason, tell those who wait for its task, and remove it from the queue."""
        reason = reason[:_MAX_REASON_LENGTH]
        metrics.REFUSED_MESSAGES.labels(kind).inc()
        headers = message.headers if isinstance(message.headers, Mapping) else {}
        task_id, task = _text(headers.get("id")), _text(headers.get("task"))
        log.error("message refused (%s): %s; task %s %s", kind, reason, task, task_id)
        if _TASK_ID.fullmatch(task_id):
            self._store_failure(task_id, kind, task if kind is RefusalKind.UNKNOWN_TASK else reason)
        try:
            self._publish(message, {"id": task_id, "task": task, KIND_HEADER: kind.value, REASON_HEADER: reason})
        except Exception as error:  # RabbitMQ then keeps the message itself, without the reason
            log.warning("dead letter not written: %s", error)
            message.reject_log_error(log, self._connection_errors)
        else:
            message.ack_log_error(log, self._connection_errors)

    def _publish(self, message: Any, headers: Mapping[str, str]) -> None:
        amqp = self._app.conf.broker_url.startswith(("amqp", "pyamqp"))
        queue = Queue(DEAD_LETTERS, durable=True, queue_arguments=DEAD_LETTER_ARGUMENTS if amqp else None)
        with self._app.producer_pool.acquire(block=True, timeout=5) as producer:
            producer.publish(
                _content(message.body)[:MAX_DEAD_LETTER_BYTES],
                exchange="",
                routing_key=DEAD_LETTERS,
                headers=dict(headers),
                correlation_id=headers["id"],
                content_type="application/octet-stream",
                content_encoding="binary",
                declare=[queue],
                delivery_mode=2,
            )
            if not amqp:
                producer.channel.client.ltrim(DEAD_LETTERS, 0, MAX_DEAD_LETTERS - 1)

    def _store_failure(self, task_id: str, kind: RefusalKind, reason: str) -> None:
        document = encode_result(task_id, refusal_error(kind, reason))
        try:
            ttl_seconds = self._app.conf.touchline_result_ttl_seconds
            self._results().eval(STORE_FIRST_AND_ANNOUNCE, 1, result_key(task_id), document, ttl_seconds)
        except (RedisError, OSError) as error:  # the API stores it when it reads the letter
            log.warning("refusal of task %s not stored: %s", task_id, error)


def _text(value: object) -> str:
    return value[:255] if isinstance(value, str) else ""


def _content(body: object) -> bytes:
    """The bytes of a body, which may have been decoded already."""
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body[:MAX_DEAD_LETTER_BYTES])
    return body.encode(errors="replace") if isinstance(body, str) else orjson.dumps(body, default=repr)
