"""A TCP proxy that can go silent: it keeps its connections open and forwards nothing, as a network does that drops."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from tests.support.ports import free_port


class SilentProxy:
    """Forwards from a port of its own to a server on loopback, from a thread of its own."""

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self._server_port = server_port
        self._is_silent = False
        self._generation = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> SilentProxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def silence(self) -> None:
        """Drop everything from now on. The connections of this time stay silent for ever."""
        self._is_silent = True
        self._generation += 1

    def restore(self) -> None:
        """Forward the data of new connections."""
        self._is_silent = False

    async def _listen(self) -> None:
        await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        generation = self._generation
        if self._is_silent:
            generation = -1
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        await asyncio.gather(
            self._forward(reader, server_writer, generation), self._forward(server_reader, writer, generation)
        )

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, generation: int) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if generation == self._generation and not self._is_silent:
                    writer.write(data)
                    await writer.drain()
            if generation == self._generation:
                writer.close()
