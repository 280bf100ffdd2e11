"""One clock for API and workers: the result store's.

A task's deadline and the reports of workers would otherwise be compared with the clocks of other machines. A worker
whose clock is 35 s ahead would refuse every task as expired.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class StoreClock:
    """The result store's time, from its last answer to `TIME` and the time that has passed since.

    Until the first answer it is this machine's time. A step of this machine's clock does not change it.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self.monotonic = monotonic
        """What `synchronise` expects its moments from."""
        self._offset: float | None = None

    def synchronise(self, answer: tuple[int, int], asked_at: float, answered_at: float) -> None:
        """Set the time from an answer to `TIME` (seconds, microseconds), and when it was asked and answered."""
        seconds, microseconds = answer
        self._offset = seconds + microseconds / 1e6 - (asked_at + answered_at) / 2

    @property
    def is_synchronised(self) -> bool:
        """Whether the store has ever answered."""
        return self._offset is not None

    def now(self) -> float:
        """Unix time."""
        return self._wall() if self._offset is None else self.monotonic() + self._offset

    @property
    def skew_seconds(self) -> float:
        """How far this machine's clock is ahead of the store's."""
        return self._wall() - self.now()
