"""Compressed answers of a server, unpacked piece by piece so that a small one cannot fill the memory."""

from __future__ import annotations

import zlib

from features.io.sources.download_errors import RefusedError

ACCEPTED = "gzip, identity"
"""What the client asks for: zlib can stop in the middle of these, so their size is known before they are in memory."""

_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_WINDOW_BITS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
_PLAIN = ("", "identity")


class Unpacker:
    """Collects the content of one answer, up to `largest` bytes after unpacking.

    Raises
    ------
    RefusedError
        If the server used an encoding that was not asked for, or if the content is damaged or too large.
    """

    def __init__(self, encoding: str, largest: int) -> None:
        name = encoding.strip().lower()
        if name not in _PLAIN and name not in _WINDOW_BITS:
            raise RefusedError(f"the server compresses with {encoding[:40]!r}; only gzip was asked for")
        self._window_bits = _WINDOW_BITS.get(name, 0)
        self._stream = zlib.decompressobj(self._window_bits) if name in _WINDOW_BITS else None
        self._largest = largest
        self._content = bytearray()

    def add(self, chunk: bytes) -> None:
        """Unpack the next piece as it came over the network."""
        if self._stream is None:
            self._content += chunk
        while self._stream is not None and chunk and len(self._content) <= self._largest:
            if self._stream.eof:  # a gzip file may consist of several parts
                if not chunk.strip(b"\0"):
                    break
                self._stream = zlib.decompressobj(self._window_bits)
            try:
                self._content += self._stream.decompress(chunk, self._largest + 1 - len(self._content))
            except zlib.error as error:
                raise RefusedError(f"the compressed content is damaged: {error}") from error
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        if len(self._content) > self._largest:
            raise RefusedError(f"the file has more than {self._largest} bytes")

    def content(self) -> bytes:
        """Return everything, once the answer has ended."""
        if self._stream is not None and self._content and not self._stream.eof:
            raise RefusedError("the compressed content is cut off")
        return bytes(self._content)
