"""Draining: before a pod ends, its clients are sent elsewhere while their requests are still answered.

A pod that closes its connections at once resets the requests that arrive on them: a client with kept connections does
not notice that the pod is no longer an endpoint of its Service. So the pod's `preStop` hook first creates
`TOUCHLINE_DRAIN_FILE`. While it exists, readiness is 503 and every response has `Connection: close`; the client opens
its next connection to another pod. The hook is a file and not a signal, because uvicorn stops at every signal that it
passes on to several API processes.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

POLL_SECONDS = 0.2
log = structlog.get_logger(__name__)


class DrainState:
    """Whether this API process is draining. One per process."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.active = False

    async def watch(self) -> None:
        """Follow the file until cancelled; returns at once if none is configured."""
        while self._file is not None:
            # A call of a microsecond on the pod's own disk, so not worth a thread.
            exists = self._file.exists()
            if exists != self.active:
                log.info("draining.started" if exists else "draining.ended", file=str(self._file))
            self.active = exists
            await asyncio.sleep(POLL_SECONDS)


def remove_leftover(file: Path | None) -> None:
    """Remove the file of a container that ended before in the same pod; it would keep this one from being ready."""
    if file is not None:
        file.unlink(missing_ok=True)
