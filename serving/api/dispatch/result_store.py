"""Result store in Redis or Valkey: awaits results, stores failures and tracks accepted tasks."""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog
from redis import RedisError
from redis.asyncio import Redis

from features.errors import TouchlineError
from serving.errors import ResultsUnavailableError
from serving.wire.results import STORE_FIRST_AND_ANNOUNCE, accepted_key, encode_result, result_key
from serving.wire.worker_status import WORKER_REGISTRY_KEY, WORKER_TTL, WorkerStatus, decode_status

log = structlog.get_logger(__name__)


class ResultStore:
    """The result store of one API process. One subscriber resolves the futures of all its waiting requests."""

    def __init__(self, url: str, ttl_seconds: int) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=3, socket_connect_timeout=3, health_check_interval=15, protocol=2
        )
        self._ttl_seconds = ttl_seconds
        # All task ids of this process have the same prefix, so that one pattern subscription is enough.
        self._prefix = f"{os.urandom(4).hex()}-{os.urandom(2).hex()}-"
        self._futures: dict[bytes, asyncio.Future[bytes]] = {}
        self._subscribed = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None

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
        await self._redis.aclose()

    def expect(self, task_id: str) -> asyncio.Future[bytes]:
        """The future of a stored result; call this before the task is published. Raises ResultsUnavailableError."""
        if not self._subscribed.is_set():
            raise ResultsUnavailableError("the result store cannot be reached")
        key = result_key(task_id).encode()
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._futures[key] = future
        future.add_done_callback(lambda _: self._futures.pop(key, None))
        return future

    async def ping(self) -> None:
        """Check that results can be received; raises ResultsUnavailableError."""
        await self._call(self._redis.ping())
        if not self._subscribed.is_set():
            raise ResultsUnavailableError("the result store answers, but results cannot be received yet")

    async def mark_accepted(self, task_id: str) -> None:
        """Remember that a task was accepted. Kept for longer than a task may wait, so that an expired one is known."""
        # NX: a task that is published again under the same id may have been started meanwhile.
        await self._call(self._redis.set(accepted_key(task_id), "queued", ex=2 * self._ttl_seconds, nx=True))

    async def forget(self, task_id: str) -> None:
        """Undo `mark_accepted` for a task that was not published."""
        await self._call(self._redis.delete(accepted_key(task_id)))

    async def set_if_absent(self, key: str, value: str) -> str | None:
        """Set a key unless it exists; its existing value, or None if this call set it."""
        existing = await self._call(self._redis.set(key, value, nx=True, get=True, ex=self._ttl_seconds))
        return None if existing is None else bytes(existing).decode()

    async def set(self, key: str, value: str) -> None:
        """Set a key, whether it exists or not."""
        await self._call(self._redis.set(key, value, ex=self._ttl_seconds))

    async def store_failure(self, task_id: str, error: TouchlineError) -> None:
        """Store the error of a task that no worker can finish, unless the task has a result."""
        document = encode_result(task_id, error)
        key = result_key(task_id)
        await self._call(self._redis.eval(STORE_FIRST_AND_ANNOUNCE, 1, key, document, self._ttl_seconds))

    async def status(self, task_id: str) -> tuple[bytes | None, bytes | None]:
        """The stored result, and the state of an accepted task: `queued`, `started`, or None if it is unknown."""
        stored, accepted = await self._call(self._redis.mget(result_key(task_id), accepted_key(task_id)))
        return stored, accepted

    async def workers(self) -> list[WorkerStatus]:
        """Last reports of the worker processes that are alive."""
        documents = await self._call(self._redis.hgetall(WORKER_REGISTRY_KEY))
        statuses = {name: decode_status(document) for name, document in documents.items()}
        oldest = datetime.now(UTC) - WORKER_TTL
        gone = [name for name, status in statuses.items() if status.seen_at <= oldest]
        if gone:  # a slow process adds itself again
            await self._call(self._redis.hdel(WORKER_REGISTRY_KEY, *gone))
        return [status for name, status in statuses.items() if name not in gone]

    @staticmethod
    async def _call(command: Any) -> Any:
        try:
            return await command
        except (RedisError, OSError) as error:
            raise ResultsUnavailableError(f"the result store cannot be reached: {error}") from error

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.psubscribe(result_key(self._prefix) + "*")
                    while True:
                        message = await channel.get_message(timeout=10)
                        if message is not None:
                            await self._on_message(message)
            except Exception as error:  # retried after any error: without this subscription no request is answered
                log.warning("results.subscription_lost", error=str(error), waiting=len(self._futures))
            finally:
                self._subscribed.clear()
            await asyncio.sleep(0.2)

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
            for key, stored in zip(keys, await self._redis.mget(keys), strict=True):
                if isinstance(stored, bytes):
                    self._resolve(key.encode(), stored)

    def _resolve(self, key: bytes, stored: bytes) -> None:
        future = self._futures.get(key)
        if future is not None and not future.done():
            future.set_result(stored)
