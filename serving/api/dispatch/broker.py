"""Tasks onto the queue from the event loop, in Celery's own message format, without ever blocking it."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import aio_pika
import orjson
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from redis import RedisError
from redis.asyncio import Redis

from serving.errors import BrokerUnavailable
from serving.settings import DEAD_LETTERS, QUEUE, ServingSettings

_PATIENCE = 3.0
"""Seconds a connection or a confirmation may take before the caller is told that the broker is away."""
DELIVERY_LIMIT = 20
"""Deliveries after which RabbitMQ gives a task up: only one that keeps ending whole workers gets there."""
QUEUE_ARGUMENTS: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD_LETTERS,
}


@dataclass(frozen=True)
class Message:
    """One task as Celery's protocol 2 has it."""

    task_id: str
    task: str
    args: list[Any]
    expires: str | None
    headers: Mapping[str, Any]

    def all_headers(self) -> dict[str, Any]:
        """Headers that a Celery worker needs, and our own; each one costs at every hop, so no others."""
        needed = {"lang": "py", "task": self.task, "id": self.task_id, "expires": self.expires}
        return {**needed, **self.headers}

    def body(self) -> bytes:
        """Arguments, keyword arguments, and no callbacks."""
        return orjson.dumps(
            [self.args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}],
            option=orjson.OPT_SERIALIZE_NUMPY,
        )


@dataclass(frozen=True)
class Depth:
    """What waits in a queue, and who takes from it; consumers is None where the broker does not know."""

    name: str
    messages: int
    consumers: int | None


class Broker(Protocol):
    """Where tasks are put."""

    async def publish(self, message: Message) -> None:
        """Return once the broker has taken the task over; raises BrokerUnavailable."""

    async def depths(self) -> list[Depth]:
        """Length of each queue; raises BrokerUnavailable."""

    async def bury(self, report: Callable[[str], Awaitable[None]]) -> None:
        """Report each task that the broker gave up, by id, then forget it; raises BrokerUnavailable."""

    async def close(self) -> None:
        """Let go of the connection."""


def connect(settings: ServingSettings) -> Broker:
    """The broker behind an address; nothing is contacted before it is used."""
    if settings.broker_is_amqp:
        return RabbitMQ(settings.broker_url)
    return RedisBroker(settings.celery_broker_url)


@contextmanager
def _reported(saying: str) -> Iterator[None]:
    """Whatever the client library raises when the connection is gone, as BrokerUnavailable."""
    try:
        yield
    except asyncio.CancelledError as error:
        # A lost connection cancels what waits on it; a caller that hung up cancels the task itself.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerUnavailable(f"{saying}: the connection was lost") from error
    except (OSError, TimeoutError, RuntimeError, asyncio.InvalidStateError, aio_pika.exceptions.AMQPError) as error:
        raise BrokerUnavailable(f"{saying}: {error or type(error).__name__}") from error


class RabbitMQ:
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
            with _reported("RabbitMQ did not confirm the task"):
                async with asyncio.timeout(_PATIENCE):
                    await exchange.publish(content, QUEUE, mandatory=True)
        except BrokerUnavailable as error:
            if isinstance(error.__cause__, aio_pika.exceptions.PublishError):
                self._exchange = None  # the queue is gone: the next task declares it anew
                raise BrokerUnavailable("RabbitMQ had no queue for the task") from error
            raise

    async def depths(self) -> list[Depth]:
        # A channel of its own: RabbitMQ closes the one on which a passive declaration fails.
        await self._open()
        assert self._connection is not None
        found = []
        with _reported("RabbitMQ does not tell its queues"):
            async with asyncio.timeout(_PATIENCE):
                for name in (QUEUE, DEAD_LETTERS):
                    async with self._connection.channel() as channel:
                        state = (await channel.declare_queue(name, passive=True)).declaration_result
                        found.append(Depth(name, state.message_count or 0, state.consumer_count or 0))
        return found

    async def bury(self, report: Callable[[str], Awaitable[None]]) -> None:
        if self._channel is None or self._channel.is_closed:
            return
        with _reported("RabbitMQ does not give its dead letters"):
            async with asyncio.timeout(_PATIENCE):
                queue = await self._channel.get_queue(DEAD_LETTERS, ensure=False)
                while (letter := await queue.get(fail=False)) is not None:
                    await report(str(letter.headers.get("id", letter.correlation_id)))
                    await letter.ack()

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _open(self) -> AbstractExchange:
        async with self._lock:
            if self._exchange is not None and self._channel is not None and not self._channel.is_closed:
                return self._exchange
            # While the broker is away, callers are told at once instead of each waiting for a connection.
            if time.monotonic() - self._failed_at < 0.5:
                raise BrokerUnavailable("RabbitMQ cannot be reached")
            try:
                with _reported("RabbitMQ cannot be reached"):
                    async with asyncio.timeout(_PATIENCE):
                        return await self._connect()
            except BrokerUnavailable:
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
    """Redis or Valkey in kombu's message format."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE, health_check_interval=15
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
            raise BrokerUnavailable(f"the broker cannot be reached: {error}") from error

    async def depths(self) -> list[Depth]:
        try:
            return [Depth(QUEUE, int(await self._redis.llen(QUEUE)), None)]
        except (RedisError, OSError) as error:
            raise BrokerUnavailable(f"the broker cannot be reached: {error}") from error

    async def bury(self, report: Callable[[str], Awaitable[None]]) -> None:
        """Redis gives nothing up: the worker itself counts how often a task took it down."""

    async def close(self) -> None:
        await self._redis.aclose()
