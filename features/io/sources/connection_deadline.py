"""A deadline for all connections of an HTTP client, also while a server sends its headers byte by byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

_OPENED = ("connection.connect_tcp.complete", "connection.start_tls.complete")


class ConnectionDeadline:
    """Shuts down connections when the time is over; timeouts of a client only limit the time without any byte."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Note a connection that the client opens: a `trace` extension of httpcore."""
        if event in _OPENED:
            opened = info["return_value"].get_extra_info("socket")
            self._sockets = [known for known in self._sockets if known.fileno() != -1] + [opened]

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Shut down all connections if the block takes longer."""
        timer = threading.Timer(max(seconds, 0), self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self) -> None:
        for connection in self._sockets:
            with contextlib.suppress(OSError):  # closed in the meantime
                connection.shutdown(socket.SHUT_RDWR)
