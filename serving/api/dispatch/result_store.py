"""Results in Redis or Valkey: waited for on the event loop, kept once, known by the ids that were accepted.

A result is written once (`SET NX`): a task that ran twice because its worker died is answered by its first run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import structlog
from redis import RedisError
from redis.asyncio import Redis

from serving.errors import ResultsUnavailable

WORKERS = "touchline:workers"
LIVENESS = timedelta(seconds=10)
"""A worker process that has not been heard of for this long counts as gone."""
log = structlog.get_logger(__name__)


def result_key(task_id: str) -> str:
    """Key of a result, and the channel on which it is announced: those of Celery's own Redis backend."""
    return f"celery-task-meta-{task_id}"


def accepted_key(task_id: str) -> str:
    """Key that says a task was accepted, and once a worker has it, that it was started."""
    return f"touchline:task:{task_id}"


class Results:
    """One subscriber per API process resolves all waiting callers; results of other processes do not reach it."""

    def __init__(self, url: str, lifetime: int) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=3, socket_connect_timeout=3, health_check_interval=15, protocol=2
        )
        self._lifetime = lifetime
        # Task ids of this process begin alike, so that one pattern subscription is enough.
        self._prefix = f"{os.urandom(4).hex()}-{os.urandom(2).hex()}-"
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}
        self._subscribed = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None

    def new_task_id(self) -> str:
        """A random id whose results this process hears of."""
        return self._prefix + str(uuid4())[len(self._prefix) :]

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to listen."""
        self._listener = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Stop listening and let go of the connections."""
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        await self._redis.aclose()

    def expect(self, task_id: str) -> asyncio.Future[bytes]:
        """The future of a result; call it before the task is published. Raises ResultsUnavailable."""
        if not self._subscribed.is_set():
            raise ResultsUnavailable("the result backend cannot be reached")
        key = result_key(task_id).encode()
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        future.add_done_callback(lambda _: self._waiting.pop(key, None))
        return future

    async def ping(self) -> None:
        """Raises ResultsUnavailable."""
        await self._call(self._redis.ping())
        if not self._subscribed.is_set():
            raise ResultsUnavailable("the result backend answers, the subscription to results is being renewed")

    async def accept(self, task_id: str) -> None:
        """Remember that a task was accepted, for longer than it may wait: one that expires must not be unknown."""
        # One that is put on the queue again under the same id may have been started meanwhile.
        await self._call(self._redis.set(accepted_key(task_id), "queued", ex=2 * self._lifetime, nx=True))

    async def forget(self, task_id: str) -> None:
        """The task was not accepted after all."""
        await self._call(self._redis.delete(accepted_key(task_id)))

    async def claim(self, key: str, value: str) -> str | None:
        """Set a key unless it is set; the value it had, or None if this call set it."""
        found = await self._call(self._redis.set(key, value, nx=True, get=True, ex=self._lifetime))
        return None if found is None else bytes(found).decode()

    async def complete(self, key: str, value: str) -> None:
        """Write down that what a key was claimed for is done."""
        await self._call(self._redis.set(key, value, ex=self._lifetime))

    async def give_up(self, task_id: str) -> None:
        """Report a task as failed that no worker can finish, unless it has a result."""
        document = orjson.dumps(
            {
                "status": "FAILURE",
                "result": {
                    "exc_type": "WorkerLostError",
                    "exc_message": ["every worker that took this task ended while it ran"],
                    "exc_module": "billiard.exceptions",
                },
                "traceback": None,
                "children": [],
                "date_done": datetime.now(UTC).isoformat(),
                "task_id": task_id,
            }
        )
        key = result_key(task_id)
        if await self._call(self._redis.set(key, document, nx=True, ex=self._lifetime)):
            await self._call(self._redis.publish(key, document))

    async def status(self, task_id: str) -> tuple[bytes | None, bytes | None]:
        """The stored result, and whether the id was accepted (`queued`, `started`, None)."""
        result, accepted = await self._call(self._redis.mget(result_key(task_id), accepted_key(task_id)))
        return result, accepted

    async def workers(self) -> list[dict[str, Any]]:
        """What live worker processes last said of themselves."""
        found = await self._call(self._redis.hgetall(WORKERS))
        spoken = {name: orjson.loads(value) for name, value in found.items()}
        since = datetime.now(UTC) - LIVENESS
        gone = [name for name, one in spoken.items() if datetime.fromisoformat(one["seen_at"]) <= since]
        if gone:  # one that was only slow says so again
            await self._call(self._redis.hdel(WORKERS, *gone))
        return [one for name, one in spoken.items() if name not in gone]

    @staticmethod
    async def _call(command: Any) -> Any:
        try:
            return await command
        except (RedisError, OSError) as error:
            raise ResultsUnavailable(f"the result backend cannot be reached: {error}") from error

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.psubscribe(result_key(self._prefix) + "*")
                    while True:
                        message = await channel.get_message(timeout=10)
                        if message is not None:
                            await self._hear(message)
            except Exception as error:  # whatever it is: without this subscription nobody gets an answer
                log.warning("results.subscription_lost", error=str(error), waiting=len(self._waiting))
            finally:
                self._subscribed.clear()
            await asyncio.sleep(0.2)

    async def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "pmessage":
            self._resolve(message["channel"], message["data"])
        elif message["type"] == "psubscribe":  # confirmed: from here on no announcement is missed
            self._subscribed.set()
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Results that were announced while nobody listened."""
        keys = [key.decode() for key in self._waiting]
        if keys:
            for key, value in zip(keys, await self._redis.mget(keys), strict=True):
                if isinstance(value, bytes):
                    self._resolve(key.encode(), value)

    def _resolve(self, key: bytes, value: bytes) -> None:
        future = self._waiting.get(key)
        if future is not None and not future.done():
            future.set_result(value)
