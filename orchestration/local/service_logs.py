"""Logs of services: earlier runs' logs are kept, and a full disk costs lines but no service."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
from pathlib import Path

KEPT_LOGS = 3
"""Logs of earlier runs that are kept, as `<name>.log.1` to `.3`."""
_CHUNK_BYTES = 65536


def rotate(log: Path) -> None:
    """Move an earlier run's log aside, since it may say why that run ended."""
    with contextlib.suppress(OSError):
        if log.stat().st_size == 0:
            return
        for number in range(KEPT_LOGS, 0, -1):
            older = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
            if older.exists():
                older.replace(log.with_name(f"{log.name}.{number}"))


class LogFile:
    """A log that drops what does not fit on the disk, and says so once there is room again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dropped_bytes = 0
        self.write(b"")

    def write(self, content: bytes) -> None:
        """Append to the log."""
        note = (
            f"[{self._dropped_bytes} bytes of this log were dropped: the disk was full]\n"
            if self._dropped_bytes
            else ""
        )
        try:
            with self._path.open("ab", buffering=0) as log:
                start = log.tell()
                if not _write_all(log.fileno(), note.encode() + content):
                    os.ftruncate(log.fileno(), start)  # no half of a line
                    raise OSError
            self._dropped_bytes = 0
        except OSError:
            self._dropped_bytes += len(content)


def _write_all(descriptor: int, content: bytes) -> bool:
    """Write everything; returns False if only a part fitted."""
    return os.write(descriptor, content) == len(content) if content else True


class LogPipes:
    """Copies what services write to their logs. Services write into pipes, which are never full for long."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._lock = threading.Lock()
        self._open = 0
        self._closing = False
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def open(self, log: LogFile) -> int:
        """Return the writing end of a pipe to a log; the caller closes it after starting the service."""
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        with self._lock:
            self._open += 1
            self._selector.register(read_end, selectors.EVENT_READ, log)
        os.write(self._wake_write, b".")
        return write_end

    def close(self, timeout_seconds: float = 2.0) -> None:
        """Copy what is left in the pipes of services that have ended."""
        self._closing = True
        os.write(self._wake_write, b".")
        self._thread.join(timeout_seconds)

    def _copy(self) -> None:
        while not (self._closing and self._open == 0):
            for key, _ in self._selector.select():
                content = self._read(key.fd)
                if content is None or key.data is None:
                    continue
                if content:
                    key.data.write(content)
                else:
                    with self._lock:
                        self._selector.unregister(key.fd)
                        self._open -= 1
                    os.close(key.fd)

    @staticmethod
    def _read(descriptor: int) -> bytes | None:
        try:
            return os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return None
