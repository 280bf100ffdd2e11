"""The client of the result store while its connections are lost again and again."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from redis import RedisError

from serving.addresses import parse_address
from serving.api.dispatch.store_client import StoreClient

CALLERS = 48
LOSSES = 150


class _Server:
    """Answers each PING a little later, and resets connections when it is asked to."""

    def __init__(self) -> None:
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    def reset_most(self, chance: random.Random) -> None:
        for writer in list(self._writers):
            if chance.random() < 0.7:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readexactly(len(b"*1\r\n$4\r\nPING\r\n"))
                await asyncio.sleep(0.001)
                writer.write(b"+PONG\r\n")
        self._writers.discard(writer)


def test_commands_beside_lost_connections_end_with_an_answer_or_an_error_of_the_store() -> None:
    """A connection that one command takes while another closes it would be an error inside the library."""
    answers, errors = asyncio.run(_under_losses())
    assert answers > 0
    assert errors > 0


async def _under_losses() -> tuple[int, int]:
    server, chance = _Server(), random.Random(1)
    client = StoreClient(parse_address("RESULTS", f"redis://127.0.0.1:{await server.start()}/0"), 1.0)
    answers, errors, is_over = 0, 0, asyncio.Event()

    async def ask() -> None:
        nonlocal answers, errors
        while not is_over.is_set():
            try:
                answers += await client.call(lambda redis: redis.ping())
            except (RedisError, OSError):
                errors += 1
            await asyncio.sleep(chance.random() * 0.005)

    async def lose() -> None:
        try:
            for _ in range(LOSSES):
                await asyncio.sleep(chance.random() * 0.03)
                server.reset_most(chance)
        finally:
            is_over.set()

    await asyncio.gather(lose(), *(ask() for _ in range(CALLERS)))
    await client.close()
    return answers, errors
