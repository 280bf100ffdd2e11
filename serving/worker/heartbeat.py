"""Heartbeat files for liveness and readiness probes, which check the age of the files.

A thread of the main process renews `alive`, even without a broker, because a worker that waits for its broker must not
be restarted; it stops if the worker holds tasks and ends none. The event loop renews `connected`; it stops without a
broker, and if the worker does not take tasks from our queue or does not end them. Each child that has loaded a model
renews `model`. The worker is ready only if `connected` and `model` are both fresh.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from celery import bootsteps

log = structlog.get_logger(__name__)
INTERVAL_SECONDS = 5.0
ALIVE, CONNECTED, MODEL = "alive", "connected", "model"


def renew(folder: Path | None, name: str) -> None:
    """Renew one of the files; does nothing if no folder is set.

    A file that cannot be written, for example on a full disk, stops neither the caller nor the next attempt.
    """
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    except OSError as error:
        log.warning("heartbeat.not_written", file=name, error=str(error))


def start(folder: Path | None, is_stuck: Callable[[], bool] = lambda: False) -> None:
    """Renew `alive` until the process ends or is stuck."""
    if folder is None:
        return

    def run() -> None:
        while True:
            if not is_stuck():
                renew(folder, ALIVE)
            time.sleep(INTERVAL_SECONDS)

    threading.Thread(target=run, name="heartbeat", daemon=True).start()


class ConnectedStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Renews `connected` from the timer of the consumer's event loop."""

    requires = ("celery.worker.components:Timer",)
    folder: Path | None = None
    """Set before the worker is built, like `is_ready`."""
    is_ready: Callable[[], bool] = staticmethod(lambda: True)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._timer_entry: Any = None

    def start(self, parent: Any) -> None:
        """Start with the event loop."""
        self._timer_entry = parent.timer.call_repeatedly(INTERVAL_SECONDS, self._renew, (), priority=10)

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery passes it
        """Stop with the event loop."""
        if self._timer_entry is not None:
            self._timer_entry.cancel()

    def _renew(self) -> None:
        if self.is_ready():
            renew(self.folder, CONNECTED)
