"""The files in which several processes share their metrics, on a disk that may be full.

prometheus_client writes them through a memory map. A page that the disk has no block for ends the process that writes
to it (SIGBUS), so the blocks are reserved first. What cannot be reserved is counted in memory alone: no process exposes
it, but none ends.
"""

from __future__ import annotations

import os

from prometheus_client import mmap_dict

_ENTRY_OVERHEAD = 32
"""Bytes of an entry in addition to its key, rounded up: a length, padding, a value and a time."""


class ReservedValues(mmap_dict.MmapedDict):
    """Values by key, as prometheus_client keeps them for one process and one kind of metric."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._unsaved: dict[str, tuple[float, float]] = {}
        self._is_saved = read_mode or _reserve(filename, mmap_dict._INITIAL_MMAP_SIZE)
        if self._is_saved:
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]  # the library has no types there

    def read_value(self, key: str) -> tuple[float, float]:
        """Return value and time of a key, which is added if it is new."""
        if not self._has_room(key):
            return self._unsaved.setdefault(key, (0.0, 0.0))
        value, timestamp = super().read_value(key)  # type: ignore[no-untyped-call]
        return value, timestamp

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Set value and time of a key."""
        if self._has_room(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
        else:
            self._unsaved[key] = value, timestamp

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._is_saved:
            super().close()  # type: ignore[no-untyped-call]

    def _has_room(self, key: str) -> bool:
        """Whether the key has its place in the file; makes the file larger for a new one, if the disk allows."""
        if not self._is_saved or key in self._unsaved:
            return False
        if key in self._positions:
            return True
        needed = self._used + len(key.encode()) + _ENTRY_OVERHEAD
        capacity = self._capacity
        while capacity < needed:
            capacity *= 2
        return capacity == self._capacity or _reserve(self._fname, capacity)


def _reserve(filename: str, size: int) -> bool:
    """Give the file blocks for `size` bytes, or all that it has; false if the disk has too few."""
    try:
        descriptor = os.open(filename, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return False
    try:
        length = os.fstat(descriptor).st_size
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, max(size, length))
        else:  # macOS
            os.pwrite(descriptor, bytes(max(size - length, 0)), length)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
