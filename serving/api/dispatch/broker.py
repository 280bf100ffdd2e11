"""Publish tasks from the event loop, in Celery's message format, without blocking the loop."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast
from uuid import uuid4

import aio_pika
import orjson
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from redis import RedisError
from redis.asyncio import Redis

from features.errors import TouchlineError
from serving.addresses import Address
from serving.api.dispatch.store_client import StoreClient
from serving.api.dispatch.store_health import describe
from serving.errors import BrokerUnavailableError
from serving.settings import ServingSettings
from serving.sockets import API_HEARTBEAT_SECONDS
from serving.wire.consumer_status import BROKER_ID_KEY
from serving.wire.dead_letters import dead_letter_error
from serving.wire.messages import Message
from serving.wire.queue import DEAD_LETTER_ARGUMENTS, DEAD_LETTERS, QUEUE, QUEUE_ARGUMENTS

log = structlog.get_logger(__name__)
BROKER_TIMEOUT_SECONDS = 3.0
"""Time for a connection or a confirmation, after which the broker counts as unavailable."""
CLOSE_TIMEOUT_SECONDS = 0.5
"""Time for an orderly end of a channel or a connection."""

LOST_CONNECTION = (
    ConnectionError,
    asyncio.CancelledError,
    asyncio.InvalidStateError,
    aio_pika.exceptions.AMQPConnectionError,
    aio_pika.exceptions.ChannelInvalidStateError,
)
"""What the client library raises from an operation whose connection ends."""


@dataclass(frozen=True)
class QueueStats:
    """How many messages and consumers a queue has; `consumers` is None if the broker does not know."""

    name: str
    messages: int
    consumers: int | None


class Broker(Protocol):
    """Holds the tasks until a worker takes them."""

    broker_id: str | None
    """A text in the broker's database that workers report, too; None if the broker counts its consumers itself."""

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
    return RabbitMQBroker(settings.broker) if settings.broker.is_amqp else RedisBroker(settings.broker)


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
    except TimeoutError as error:
        raise BrokerUnavailableError(f"{summary}: no answer within {BROKER_TIMEOUT_SECONDS:g} s") from error
    except (OSError, RuntimeError, asyncio.InvalidStateError, aio_pika.exceptions.AMQPError) as error:
        raise BrokerUnavailableError(f"{summary}: {error or type(error).__name__}") from error


async def _store_letter(
    store_failure: Callable[[str, TouchlineError], Awaitable[None]], headers: Mapping[str, Any], task_id: object
) -> None:
    """Tell those who wait for the task of a dead letter, if it has an id, why it is dead."""
    error = dead_letter_error(headers)
    log.warning("dead_letter.read", task_id=str(task_id)[:255], error=str(error))
    if isinstance(task_id, str) and task_id:
        await store_failure(task_id[:255], error)


class RabbitMQBroker:
    """A quorum queue with publisher confirms: a task that was accepted survives a restart of the broker."""

    broker_id: str | None = None

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None
        self._lock = asyncio.Lock()
        self._failed_at = float("-inf")

    async def publish(self, message: Message) -> None:
        content = aio_pika.Message(
            message.body(),
            headers=message.all_headers(),
            content_type="application/json",
            content_encoding="utf-8",
            correlation_id=message.task_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        exchange = await self._open_exchange()
        try:
            await self._confirm(exchange, content)
        except BrokerUnavailableError as error:
            if not isinstance(error.__cause__, LOST_CONNECTION):
                raise
            # A node of the broker ended, for example in an upgrade, and another may be there. If the first one had
            # accepted the task, it is executed twice under one id, as after a crash of a worker.
            await self._confirm(await self._open_exchange(), content)

    async def _open_exchange(self) -> AbstractExchange:
        if self._exchange is None or self._channel is None or self._channel.is_closed:
            return await self._open()
        return self._exchange

    async def _confirm(self, exchange: AbstractExchange, content: aio_pika.Message) -> None:
        """Publish and wait until the queue has the message."""
        try:
            with _translate_errors("RabbitMQ did not confirm the task"):
                async with asyncio.timeout(BROKER_TIMEOUT_SECONDS):
                    await exchange.publish(content, QUEUE, mandatory=True)
        except BrokerUnavailableError as error:
            is_queue_missing = isinstance(error.__cause__, aio_pika.exceptions.PublishError)
            if (is_queue_missing or isinstance(error.__cause__, LOST_CONNECTION)) and self._exchange is exchange:
                self._exchange = None  # opened and declared again by the next task, unless another task already did
            if is_queue_missing:
                raise BrokerUnavailableError("RabbitMQ has no queue for the task") from error
            raise

    async def queue_stats(self) -> list[QueueStats]:
        await self._open()
        assert self._connection is not None
        with _translate_errors("RabbitMQ did not report its queues"):
            async with asyncio.timeout(BROKER_TIMEOUT_SECONDS):
                return [await self._count(self._connection, name) for name in (QUEUE, DEAD_LETTERS)]

    @staticmethod
    async def _count(connection: AbstractConnection, name: str) -> QueueStats:
        # On a separate channel, because RabbitMQ closes a channel on which a passive declaration fails.
        channel = await connection.channel()
        try:
            state = (await channel.declare_queue(name, passive=True)).declaration_result
        finally:
            await _close(channel)
        return QueueStats(name, state.message_count or 0, state.consumer_count or 0)

    async def drain_dead_letters(self, store_failure: Callable[[str, TouchlineError], Awaitable[None]]) -> None:
        if self._channel is None or self._channel.is_closed:
            return
        with _translate_errors("RabbitMQ did not deliver its dead letters"):
            async with asyncio.timeout(BROKER_TIMEOUT_SECONDS):
                queue = await self._channel.get_queue(DEAD_LETTERS, ensure=False)
                while (letter := await queue.get(fail=False)) is not None:
                    await _store_letter(
                        store_failure, letter.headers, letter.headers.get("id") or letter.correlation_id
                    )
                    await letter.ack()

    async def close(self) -> None:
        if self._connection is not None:
            await _close(self._connection)

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
        if self._connection is not None:
            await _close(self._connection)
        address = self._address
        self._connection = await aio_pika.connect(
            host=address.host,
            port=address.port,
            login=address.user or "guest",
            password=address.password or "guest",
            virtualhost=address.virtual_host,
            ssl=address.is_encrypted,
            ssl_context=_ssl_context(address) if address.is_encrypted else None,
            heartbeat=API_HEARTBEAT_SECONDS,
        )
        self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        self._exchange = await self._channel.declare_exchange(QUEUE, aio_pika.ExchangeType.TOPIC, durable=True)
        await self._channel.declare_queue(DEAD_LETTERS, durable=True, arguments=DEAD_LETTER_ARGUMENTS)
        queue = await self._channel.declare_queue(QUEUE, durable=True, arguments=QUEUE_ARGUMENTS)
        await queue.bind(self._exchange, QUEUE)
        return self._exchange


async def _close(resource: AbstractChannel | AbstractConnection) -> None:
    """Close a channel or a connection; not for ever, since a lost connection does not confirm it."""
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
            await resource.close()


def _ssl_context(address: Address) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=address.ca_file)
    if not address.is_verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _remove_letter(redis: Redis, item: bytes) -> None:
    await redis.lrem(DEAD_LETTERS, -1, cast(str, item))  # bytes are allowed, too


def _headers_of(item: bytes | str) -> Mapping[str, Any]:
    """The headers of a message in kombu's envelope; none if it has no such envelope."""
    try:
        headers = orjson.loads(item)["headers"]
    except (ValueError, KeyError, TypeError):
        return {}
    return headers if isinstance(headers, dict) else {}


class RedisBroker:
    """Redis or Valkey, in kombu's message format."""

    def __init__(self, address: Address) -> None:
        self.broker_id: str | None = None
        self._store = StoreClient(address, BROKER_TIMEOUT_SECONDS)

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
            await self._store.call(lambda redis: redis.lpush(QUEUE, orjson.dumps(envelope)))
        except (RedisError, OSError) as error:
            raise BrokerUnavailableError(describe("the broker", error)) from error

    async def queue_stats(self) -> list[QueueStats]:
        identity = str(uuid4())

        async def ask(redis: Redis) -> list[Any]:
            async with redis.pipeline(transaction=False) as pipe:
                pipe.llen(QUEUE)
                pipe.llen(DEAD_LETTERS)
                pipe.set(BROKER_ID_KEY, identity, nx=True, get=True)
                return list(await pipe.execute())

        try:
            tasks, letters, known = await self._store.call(ask)
            self.broker_id = (known or identity.encode()).decode(errors="replace")
        except (RedisError, OSError) as error:
            raise BrokerUnavailableError(describe("the broker", error)) from error
        # Redis has no empty lists.
        dead_letters = [QueueStats(DEAD_LETTERS, int(letters), 0)] if letters else []
        return [QueueStats(QUEUE, int(tasks), None), *dead_letters]

    async def drain_dead_letters(self, store_failure: Callable[[str, TouchlineError], Awaitable[None]]) -> None:
        # A letter is removed after its failure is stored, so that none is lost; another API may store it once more.
        try:
            for item in await self._store.call(lambda redis: redis.lrange(DEAD_LETTERS, 0, -1)):
                headers = _headers_of(item)
                await _store_letter(store_failure, headers, headers.get("id"))
                await self._store.call(partial(_remove_letter, item=item))
        except (RedisError, OSError) as error:
            raise BrokerUnavailableError(describe("the broker", error)) from error

    async def close(self) -> None:
        await self._store.close()
