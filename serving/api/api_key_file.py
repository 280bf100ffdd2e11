"""The file of API keys, followed: a key that is taken out stops working within a second, and a new one works."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import structlog

from features.errors import InvalidInputError
from serving.api.api_keys import ApiKeys

CHECK_SECONDS = 1.0
"""Minimum interval between two looks at the file."""
SETTLING_NS = 2_000_000_000
"""A file that was written so recently is read again, because a second change may leave no trace in its times."""
log = structlog.get_logger(__name__)

Fingerprint = tuple[int, int, int]


class ApiKeyFile:
    """The keys of a file. While it is unreadable or invalid, the last good keys stay in use, and the log says so."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises InvalidInputError if the file is unusable at the start."""
        self._file, self._clock = file, clock
        self._fingerprint = self._look()
        self._keys = ApiKeys.read(file)
        self._looked_at = clock()
        self.error: str | None = None
        """Why the file is not used as it is now."""

    def authenticate(self, key: str) -> str | None:
        """Return the owner of a key, or None."""
        if self._clock() - self._looked_at >= CHECK_SECONDS:
            self._looked_at = self._clock()
            self._follow()
        return self._keys.authenticate(key)

    def _follow(self) -> None:
        fingerprint = self._look()
        if fingerprint is not None and fingerprint == self._fingerprint:
            return
        try:
            self._keys = ApiKeys.read(self._file)
        except InvalidInputError as error:
            if self.error != str(error):
                log.warning("api_keys.unusable", error=str(error), action="the keys that were read last stay in use")
            self.error = str(error)
            return
        self._fingerprint = fingerprint
        if self.error is not None:
            log.info("api_keys.usable_again")
        self.error = None

    def _look(self) -> Fingerprint | None:
        """Return what tells a version of the file; None if it is unreadable or still being changed."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        if time.time_ns() - found.st_mtime_ns < SETTLING_NS:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns
