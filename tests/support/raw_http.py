"""HTTP/1.1 byte by byte: what clients send that no client library sends on demand."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any, Self

PATIENCE_SECONDS = 20.0
MAX_RESPONSE_BYTES = 10_000_000


@dataclass(frozen=True)
class RawResponse:
    """A response as it arrived."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RawConnection:
    """One connection to a server on loopback. Responses are read in the order in which they arrive."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def response(self, method: str = "GET") -> RawResponse:
        """Read the next response. The body of a response to HEAD is empty whatever its headers say."""
        head = self._take_until(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = head.rstrip("\r\n").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1", head
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
        return RawResponse(int(status), headers, self._take(length))

    def is_closed(self) -> bool:
        """Wait until the server has closed the connection; False if it sends something instead."""
        if self._received:
            return False
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def is_silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing has arrived that was not asked for."""
        self._socket.settimeout(seconds)
        try:
            return not self._received and not self._socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(PATIENCE_SECONDS)

    def _take_until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._receive()
        return self._take(self._received.index(end) + len(end))

    def _take(self, size: int) -> bytes:
        assert size < MAX_RESPONSE_BYTES
        while len(self._received) < size:
            self._receive()
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def _receive(self) -> None:
        part = self._socket.recv(65536)
        assert part, f"the connection ended; until then there was {self._received[:500]!r}"
        self._received += part
