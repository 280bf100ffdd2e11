"""Publish tasks from the event loop, in Celery's message format, without blocking the loop."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

import aio_pika
import orjson
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage
from redis import RedisError
from redis.asyncio import Redis

from features.errors import TouchlineError
from serving.errors import BrokerUnavailableError, TaskFailedError, from_wire
from serving.settings import ServingSettings
from serving.wire.messages import Message
from serving.wire.queue import DEAD_LETTERS, QUEUE, QUEUE_ARGUMENTS

BROKER_TIMEOUT_SECONDS = 3.0
"""Time for a connection or a confirmation, after which the broker counts as unavailable."""


@dataclass(frozen=True)
class QueueStats:
    """How many messages and consumers a queue has; `consumers` is None if the broker does not know."""

    name: str
    messages: int
    consumers: int | None


class Broker(Protocol):
    """Holds the tasks until a worker takes them."""

    async def publish(self, message: Message) -> None:
        """Return once the broker has accepted the task; raises BrokerUnavailableError."""

    async def queue_stats(self) -> list[QueueStats]:
        """Length and consumers of each queue; raises BrokerUnavailableError."""

    async def drain_dead_letters(self, store_failure: Callable[[str, TouchlineError], Awaitable[None]]) -> None:
        """Call `store_failure` with each dead letter's id and reason, then remove it; raises BrokerUnavailableError."""

    async def close(self) -> None:
        """Close the connection."""


def create_broker(settings: ServingSettings) -> Broker:
    """The broker that the settings name. It is contacted on first use."""
    if settings.broker_is_amqp:
        return RabbitMQBroker(settings.broker_url)
    return RedisBroker(settings.celery_broker_url)


@contextmanager
def _translate_errors(summary: str) -> Iterator[None]:
    """Raise BrokerUnavailableError for any error of the client library after the connection is lost."""
    try:
        yield
    except asyncio.CancelledError as error:
        # A lost connection cancels the operations that wait for it. A disconnected client cancels the asyncio task.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerUnavailableError(f"{summary}: the connection was lost") from error
    except (OSError, TimeoutError, RuntimeError, asyncio.InvalidStateError, aio_pika.exceptions.AMQPError) as error:
        raise BrokerUnavailableError(f"{summary}: {error or type(error).__name__}") from error


def _failure_of(letter: AbstractIncomingMessage) -> TouchlineError:
    """Why RabbitMQ dead-lettered a task.

    Celery rejects a task that it does not know, and stores `NotRegistered` as its result slightly later, so the dead
    letter may be read first: both become the same error.
    """
    if letter.headers.get("x-first-death-reason") == "rejected":
        return from_wire({"exc_type": "NotRegistered", "exc_message": [str(letter.headers.get("task"))]})
    return TaskFailedError("every worker that started this task exited before finishing it")


class RabbitMQBroker:
    """A quorum queue with publisher confirms: a task that was accepted survives a restart of the broker."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("pyamqp://", "amqp://", 1)
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None
        self._lock = asyncio.Lock()
        self._failed_at = float("-inf")

    async def publish(self, message: Message) -> None:
        exchange = self._exchange
        if exchange is None or self._channel is None or self._channel.is_closed:
            exchange = await self._open()
        content = aio_pika.Message(
            message.body(),
            headers=message.all_headers(),
            content_type="application/json",
            content_encoding="utf-8",
            correlation_id=message.task_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        try:
            with _translate_errors("RabbitMQ did not confirm the task"):
                async with asyncio.timeout(BROKER_TIMEOUT_SECONDS):
                    await exchange.publish(content, QUEUE, mandatory=True)
        except BrokerUnavailableError as error:
            if isinstance(error.__cause__, aio_pika.exceptions.PublishError):
                self._exchange = None  # the queue is gone: the next task declares it again
                raise BrokerUnavailableError("RabbitMQ has no queue for the task") from error
            raise

    async def queue_stats(self) -> list[QueueStats]:
        # On a separate channel, because RabbitMQ closes a channel on which a passive declaration fails.
        await self._open()
        assert self._connection is not None
        queues = []
        with _translate_errors("RabbitMQ did not report its queues"):
            async with asyncio.timeout(BROKER_TIMEOUT_SECONDS):
                for name in (QUEUE, DEAD_LETTERS):
                    async with self._connection.channel() as channel:
                        state = (await channel.declare_queue(name, passive=True)).declaration_result
                        queues.append(QueueStats(name, state.message_count or 0, state.consumer_count or 0))
        return queues

    async def drain_dead_letters(self, store_failure: Callable[[str, TouchlineError], Awaitable[None]]) -> None:
        if self._channel is None or self._channel.is_closed:
            return
        with _translate_errors("RabbitMQ did not deliver its dead letters"):
            async with asyncio.timeout(BROKER_TIMEOUT_SECONDS):
                queue = await self._channel.get_queue(DEAD_LETTERS, ensure=False)
                while (letter := await queue.get(fail=False)) is not None:
                    await store_failure(str(letter.headers.get("id", letter.correlation_id)), _failure_of(letter))
                    await letter.ack()

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _open(self) -> AbstractExchange:
        async with self._lock:
            if self._exchange is not None and self._channel is not None and not self._channel.is_closed:
                return self._exchange
            # While the broker is down, requests fail at once instead of each waiting for a connection.
            if time.monotonic() - self._failed_at < 0.5:
                raise BrokerUnavailableError("RabbitMQ cannot be reached")
            try:
                with _translate_errors("RabbitMQ cannot be reached"):
                    async with asyncio.timeout(BROKER_TIMEOUT_SECONDS):
                        return await self._connect()
            except BrokerUnavailableError:
                self._failed_at = time.monotonic()
                raise

    async def _connect(self) -> AbstractExchange:
        if self._connection is not None and not self._connection.is_closed:
            await self._connection.close()
        self._connection = await aio_pika.connect(self._url)
        self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        self._exchange = await self._channel.declare_exchange(QUEUE, aio_pika.ExchangeType.TOPIC, durable=True)
        await self._channel.declare_queue(DEAD_LETTERS, durable=True, arguments={"x-queue-type": "quorum"})
        queue = await self._channel.declare_queue(QUEUE, durable=True, arguments=QUEUE_ARGUMENTS)
        await queue.bind(self._exchange, QUEUE)
        return self._exchange


class RedisBroker:
    """Redis or Valkey, in kombu's message format."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=BROKER_TIMEOUT_SECONDS,
            socket_connect_timeout=BROKER_TIMEOUT_SECONDS,
            health_check_interval=15,
        )

    async def publish(self, message: Message) -> None:
        envelope = {
            "body": base64.b64encode(message.body()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": message.all_headers(),
            "properties": {
                "correlation_id": message.task_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": QUEUE, "routing_key": QUEUE},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
        try:
            await self._redis.lpush(QUEUE, orjson.dumps(envelope))
        except (RedisError, OSError) as error:
            raise BrokerUnavailableError(f"the broker cannot be reached: {error}") from error

    async def queue_stats(self) -> list[QueueStats]:
        try:
            return [QueueStats(QUEUE, int(await self._redis.llen(QUEUE)), None)]
        except (RedisError, OSError) as error:
            raise BrokerUnavailableError(f"the broker cannot be reached: {error}") from error

    async def drain_dead_letters(self, store_failure: Callable[[str, TouchlineError], Awaitable[None]]) -> None:
        """Redis has no dead letters; the worker itself counts how often a task crashed it."""

    async def close(self) -> None:
        await self._redis.aclose()
