"""Files by which a supervisor sees how a worker fares; reading their age costs nothing.

`alive` is renewed by a thread of the main process, whatever the broker does: a worker that waits for its broker must
not be restarted. `connected` is renewed by the event loop, which stands still without a broker, and `model` by each
child that has a model: only with both fresh does the worker answer.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from celery import bootsteps

INTERVAL = 5.0
ALIVE, CONNECTED, MODEL = "alive", "connected", "model"


def renew(folder: Path | None, name: str) -> None:
    """Touch one of the files; without a folder nobody looks."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def keep_alive(folder: Path | None) -> None:
    """Renew `alive` until the process ends."""
    if folder is None:
        return

    def beat() -> None:
        while True:
            renew(folder, ALIVE)
            time.sleep(INTERVAL)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()


class Connected(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Renews `connected` from the consumer's timer."""

    requires = ("celery.worker.components:Timer",)
    folder: Path | None = None
    """Set before the worker is built."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._entry: Any = None

    def start(self, parent: Any) -> None:
        """Begin with the event loop."""
        self._entry = parent.timer.call_repeatedly(INTERVAL, renew, (self.folder, CONNECTED), priority=10)

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery passes it
        """End with it."""
        if self._entry is not None:
            self._entry.cancel()
