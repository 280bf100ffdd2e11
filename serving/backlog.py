"""How long a request that comes now would wait, as far as one API process can see."""

from __future__ import annotations

_SATURATED = 1.0
"""Seconds after which an unanswered request means that requests come faster than they are answered."""
_LEAST_RATE = 50.0
"""Tasks a second that a queue is taken to lose while nothing better is known."""


class Backlog:
    """Rates of answers and of the queue, looked at once a second."""

    def __init__(self) -> None:
        self.outstanding = 0
        """Matches that callers of this process wait for."""
        self._answered = 0
        self._rate = 0.0
        self._published = 0
        self._depth = 0
        self._drain = 0.0

    def answered(self, matches: int) -> None:
        """Count answers."""
        self._answered += matches

    def published(self) -> None:
        """Count a task that the queue took."""
        self._published += 1

    def tick(self, seconds: float, depth: int) -> None:
        """Take the rates of the last `seconds`; `depth` is how many tasks wait in the queue now."""
        rate = self._answered / seconds
        self._rate = rate if rate > self._rate else 0.7 * self._rate + 0.3 * rate
        # What other processes published meanwhile is not known, so the queue may lose more than this.
        drain = max(0.0, (self._published + self._depth - depth) / seconds)
        self._drain = drain if drain > self._drain else 0.8 * self._drain + 0.2 * drain
        self._answered = self._published = 0
        self._depth = depth

    def wait(self, oldest: float) -> float:
        """Seconds that a request would wait; `oldest` is the age of the oldest unanswered one in seconds."""
        queued = self._depth / max(self._drain, _LEAST_RATE)
        if oldest < _SATURATED:
            return max(oldest, queued)
        return max(oldest, queued, self.outstanding / self._rate if self._rate else 0.0)
