"""Result store in Redis or Valkey: awaits results, stores failures and tracks accepted tasks."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from redis import RedisError, ResponseError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import TimeoutError as RedisTimeoutError

from features.errors import TouchlineError
from monitoring.metrics import INVALID_RESULTS
from serving.addresses import Address
from serving.api.dispatch.store_client import StoreClient
from serving.api.dispatch.store_health import (
    EPOCH_KEY,
    PROBE_KEY,
    PROBE_TTL_SECONDS,
    StoreEpoch,
    describe,
    eviction_warning,
)
from serving.errors import ResultsUnavailableError
from serving.wire.consumer_status import (
    CONSUMER_REGISTRY_KEY,
    CONSUMER_TTL_SECONDS,
    ConsumerStatus,
    decode_consumer_status,
)
from serving.wire.results import STORE_FIRST_AND_ANNOUNCE, accepted_key, encode_result, result_key
from serving.wire.store_clock import StoreClock
from serving.wire.worker_status import WORKER_REGISTRY_KEY, WORKER_TTL, WorkerStatus, decode_status

log = structlog.get_logger(__name__)
ANSWER_SECONDS = 3.0
"""Longest time that the store may take to answer."""
LISTEN_SECONDS = 2.0
"""Time without an announcement after which the store is asked for a sign, and for which that is waited for."""
GIVE_UP_SECONDS = 8.0
"""Time for which requests wait for a store that does not answer."""


class ResultStore:
    """The result store of one API process. One subscriber resolves the futures of all its waiting requests."""

    def __init__(self, address: Address, ttl_seconds: int) -> None:
        self._store = StoreClient(address, ANSWER_SECONDS)
        self.problem: str | None = None
        """Why results could not be stored or read when the store was last polled; None if they could."""
        self.warning: str | None = None
        """Why accepted tasks could be lost."""
        self._epoch = StoreEpoch()
        self._is_away = False
        self._fails_since: float | None = None
        self._ttl_seconds = ttl_seconds
        self.clock = StoreClock()
        # All task ids of this process have the same prefix, so that one pattern subscription is enough.
        self._prefix = f"{os.urandom(4).hex()}-{os.urandom(2).hex()}-"
        self._futures: dict[bytes, asyncio.Future[bytes]] = {}
        self._subscribed = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None
        for kind in ("forecasts", "forecast", "worker_status"):  # from zero, so that an alert sees the first one, too
            INVALID_RESULTS.labels(kind)

    def new_task_id(self) -> str:
        """A random id whose result is announced to this process."""
        return self._prefix + str(uuid4())[len(self._prefix) :]

    def start(self) -> None:
        """Start to listen for results."""
        self._listener = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Stop listening and close the connections."""
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        await self._store.close()

    def expect(self, task_id: str) -> asyncio.Future[bytes]:
        """The future of a stored result; call this before the task is published. Raises ResultsUnavailableError."""
        if self.problem is not None:
            raise ResultsUnavailableError(self.problem)
        if not self._subscribed.is_set():
            raise ResultsUnavailableError("the result store cannot be reached")
        key = result_key(task_id).encode()
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._futures[key] = future
        future.add_done_callback(lambda _: self._futures.pop(key, None))
        return future

    async def check(self) -> None:
        """Raise ResultsUnavailableError if results could not be stored or received when the store was last polled."""
        if self.problem is not None:
            raise ResultsUnavailableError(self.problem)
        if not self._subscribed.is_set():
            raise ResultsUnavailableError("the result store answers, but results cannot be received yet")

    async def mark_accepted(self, task_id: str) -> None:
        """Remember that a task was accepted. Kept for longer than a task may wait, so that an expired one is known."""
        # NX: a task that is published again under the same id may have been started meanwhile.
        await self._call(lambda redis: redis.set(accepted_key(task_id), "queued", ex=2 * self._ttl_seconds, nx=True))

    async def forget(self, task_id: str) -> None:
        """Undo `mark_accepted` for a task that was not published."""
        await self._call(lambda redis: redis.delete(accepted_key(task_id)))

    async def set_if_absent(self, key: str, value: str) -> str | None:
        """Set a key unless it exists; its existing value, or None if this call set it."""
        existing = await self._call(lambda redis: redis.set(key, value, nx=True, get=True, ex=self._ttl_seconds))
        return None if existing is None else bytes(existing).decode(errors="replace")

    async def set(self, key: str, value: str) -> None:
        """Set a key, whether it exists or not."""
        await self._call(lambda redis: redis.set(key, value, ex=self._ttl_seconds))

    async def store_failure(self, task_id: str, error: TouchlineError) -> None:
        """Store the error of a task that no worker can finish, unless the task has a result."""
        document = encode_result(task_id, error)
        key = result_key(task_id)
        await self._call(lambda redis: redis.eval(STORE_FIRST_AND_ANNOUNCE, 1, key, document, self._ttl_seconds))

    async def status(self, task_id: str) -> tuple[bytes | None, bytes | None]:
        """The stored result, and the state of an accepted task: `queued`, `started`, or None if it is unknown."""
        stored, accepted = await self._call(lambda redis: redis.mget(result_key(task_id), accepted_key(task_id)))
        return stored, accepted

    async def workers(self) -> list[WorkerStatus]:
        """Last reports of the worker processes that are alive."""
        documents = await self._read_registry(WORKER_REGISTRY_KEY)
        statuses = {name: status for name, document in documents.items() if (status := _read_status(document))}
        oldest = datetime.fromtimestamp(self.clock.now(), UTC) - WORKER_TTL
        gone = [name for name in documents if name not in statuses or statuses[name].seen_at <= oldest]
        if gone:  # a slow process adds itself again
            await self._call(lambda redis: redis.hdel(WORKER_REGISTRY_KEY, *gone))
        return [status for name, status in statuses.items() if name not in gone]

    async def consumers(self) -> list[ConsumerStatus]:
        """Last reports of the workers' main processes that are alive. Those of version 0.1 did not report."""
        documents = await self._read_registry(CONSUMER_REGISTRY_KEY)
        statuses = {name: status for name, document in documents.items() if (status := _read_consumer(document))}
        oldest = self.clock.now() - CONSUMER_TTL_SECONDS
        gone = [name for name in documents if name not in statuses or statuses[name].seen_at <= oldest]
        if gone:
            await self._call(lambda redis: redis.hdel(CONSUMER_REGISTRY_KEY, *gone))
        return [status for name, status in statuses.items() if name not in gone]

    @property
    def lost_at(self) -> datetime | None:
        """When the store lost its data, as long as a task that was accepted before may not have ended."""
        lost_at = self._epoch.lost_at
        is_recent = lost_at > 0 and self.clock.now() - lost_at < 2 * self._ttl_seconds
        return datetime.fromtimestamp(lost_at, UTC) if is_recent else None

    async def poll(self) -> None:
        """Find out whether the store takes results and keeps them. If not, `problem` and `warning` say why."""
        new_epoch = self._epoch.successor(self.clock.now())

        async def ask(redis: Redis) -> list[Any]:
            async with redis.pipeline(transaction=False) as pipe:
                pipe.set(PROBE_KEY, "1", ex=PROBE_TTL_SECONDS)
                pipe.set(EPOCH_KEY, new_epoch, nx=True, get=True)
                pipe.info("memory")
                return list(await pipe.execute(raise_on_error=False))

        try:
            written, epoch, memory = await self._store.call(ask)
            if not isinstance(epoch, Exception) and self._epoch.update(epoch, new_epoch):
                await self._store.call(lambda redis: redis.set(EPOCH_KEY, new_epoch, xx=True))
        except (RedisError, OSError) as error:
            self._judge(error)
            return
        self._judge(written if isinstance(written, Exception) else None)
        warning = eviction_warning(memory) if isinstance(memory, Mapping) else None  # a user may be denied INFO
        if warning is not None and warning != self.warning:
            log.warning("results.not_kept", reason=warning)
        self.warning = warning

    def _judge(self, error: Exception | None) -> None:
        """Record a problem. Whoever waits is told at once if no worker can store results, else after some time."""
        now = self.clock.monotonic()
        self._is_away = error is not None and not isinstance(error, ResponseError)
        if error is None:
            self.problem = self._fails_since = None
            return
        self.problem = describe("the result store", error)
        self._fails_since = self._fails_since or now
        if not self._is_away or now - self._fails_since >= GIVE_UP_SECONDS:
            for future in list(self._futures.values()):
                if not future.done():
                    future.set_exception(ResultsUnavailableError(self.problem))

    async def _read_registry(self, key: str) -> dict[bytes, bytes]:
        """The documents of a hash by name; synchronises the clock with the same round trip."""
        asked_at = self.clock.monotonic()

        async def ask(redis: Redis) -> Any:
            async with redis.pipeline(transaction=False) as pipe:
                pipe.hgetall(key)
                pipe.time()
                return await pipe.execute()

        documents, (seconds, microseconds) = await self._call(ask)
        self.clock.synchronise((seconds, microseconds), asked_at, self.clock.monotonic())
        return dict(documents)

    async def _call(self, command: Callable[[Redis], Awaitable[Any]]) -> Any:
        if self._is_away and self.problem is not None:  # `poll` asks it again every second
            raise ResultsUnavailableError(self.problem)
        try:
            return await self._store.call(command)
        except (RedisError, OSError) as error:
            raise ResultsUnavailableError(describe("the result store", error)) from error

    async def _listen(self) -> None:
        while True:
            try:
                async with self._store.redis.pubsub() as channel:
                    await channel.psubscribe(result_key(self._prefix) + "*")
                    await self._receive(channel)
            except Exception as error:  # retried after any error: without this subscription no request is answered
                log.warning("results.subscription_lost", error=str(error), waiting=len(self._futures))
            finally:
                self._subscribed.clear()
            await asyncio.sleep(0.2)

    async def _receive(self, channel: PubSub) -> None:
        """Handle announcements until the store is silent, although it is asked for a sign."""
        is_asked = False
        while True:
            message = await channel.get_message(timeout=LISTEN_SECONDS)
            if message is not None:
                is_asked = False
                await self._on_message(message)
            elif is_asked:
                raise RedisTimeoutError(f"no sign of the result store within {2 * LISTEN_SECONDS:g} s")
            else:
                await channel.ping()
                is_asked = True

    async def _on_message(self, message: dict[str, Any]) -> None:
        if message["type"] == "pmessage":
            self._resolve(message["channel"], message["data"])
        elif message["type"] == "psubscribe":  # the subscription is confirmed: from now on no announcement is missed
            self._subscribed.set()
            await self._fetch_missed()

    async def _fetch_missed(self) -> None:
        """Look up results that were announced while this process was not subscribed."""
        keys = [key.decode() for key in self._futures]
        if keys:
            for key, stored in zip(keys, await self._store.call(lambda redis: redis.mget(keys)), strict=True):
                if isinstance(stored, bytes):
                    self._resolve(key.encode(), stored)

    def _resolve(self, key: bytes, stored: bytes) -> None:
        future = self._futures.get(key)
        if future is not None and not future.done():
            future.set_result(stored)


def _read_consumer(document: bytes) -> ConsumerStatus | None:
    """A main process's report; None if the document is no such report."""
    try:
        return decode_consumer_status(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        log.error("consumer.status_invalid", error=str(error))
        INVALID_RESULTS.labels("worker_status").inc()
        return None


def _read_status(document: bytes) -> WorkerStatus | None:
    """A worker's report; None if the document is no such report."""
    try:
        return decode_status(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        log.error("worker.status_invalid", error=str(error))
        INVALID_RESULTS.labels("worker_status").inc()
        return None
