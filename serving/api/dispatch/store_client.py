"""A client of Redis or Valkey that never waits long, and forgets its connections when one of them is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from serving.addresses import Address
from serving.sockets import redis_options


class StoreClient:
    """One per API process and server."""

    def __init__(self, address: Address, answer_seconds: float) -> None:
        self._address = address
        self._answer_seconds = answer_seconds
        self.redis = self._connect()
        self._closing: set[asyncio.Task[None]] = set()

    async def call(self, command: Callable[[Redis], Awaitable[Any]]) -> Any:
        """Run a command; raises a RedisError or an OSError, within the time that an answer may take."""
        redis = self.redis
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await command(redis)
        except TimeoutError:
            self._forget_connections(redis)
            raise RedisTimeoutError(f"no answer within {self._answer_seconds:g} s") from None
        except (RedisConnectionError, RedisTimeoutError, OSError):
            self._forget_connections(redis)
            raise

    async def close(self) -> None:
        """Close all connections."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        with suppress(RedisError, OSError):
            async with asyncio.timeout(1):
                await self.redis.aclose()

    def _connect(self) -> Redis:
        return Redis(
            **redis_options(self._address, answer_seconds=self._answer_seconds),
            # One retry, at once: the first command after the server was restarted meets a connection that is closed.
            # A silent server is not asked again, so that whoever waits for it is told in time.
            retry=Retry(NoBackoff(), 1, (RedisConnectionError,)),
            protocol=2,
        )

    def _forget_connections(self, lost: Redis) -> None:
        """Go on with new connections: each idle one went the same way, and would be waited for in turn.

        The idle ones are closed later, when no command uses the old client any more: closing a connection that a
        command is about to use leaves it without a socket (an AttributeError inside the library).
        """
        if lost is self.redis:
            self.redis = self._connect()
            task = asyncio.create_task(self._close_later(lost))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close_later(self, lost: Redis) -> None:
        try:
            await asyncio.sleep(2 * self._answer_seconds)
        finally:
            with suppress(RedisError, OSError):
                async with asyncio.timeout(1):
                    await lost.connection_pool.disconnect(inuse_connections=False)
