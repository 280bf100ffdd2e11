"""How long a request that comes now would wait, as far as one API process can see."""

from __future__ import annotations

_LATE = 1.0
"""Seconds after which an unanswered request means that requests come faster than they are answered."""
_LEAST_DRAIN = 50.0
"""Tasks a second that a queue is taken to lose while nothing better is known."""


class Backlog:
    """What was answered and how fast, looked at once a second."""

    def __init__(self) -> None:
        self.outstanding = 0
        """Matches that callers of this process wait for."""
        self._behind = False
        self._answered = 0
        self._fastest = 0.0
        self._rate = 0.0
        self._capacity = 0.0
        self._published = 0
        self._depth = 0
        self._drain = 0.0

    def answered(self, matches: int, seconds: float) -> None:
        """Count the answers of one task, which took `seconds`: at least so many a second are possible."""
        self._answered += matches
        self._fastest = max(self._fastest, matches / max(seconds, 1e-4))
        self._capacity = max(self._capacity, self._fastest)

    def published(self) -> None:
        """Count a task that the queue took."""
        self._published += 1

    def tick(self, seconds: float, depth: int) -> None:
        """Take the rates of the last `seconds`; `depth` is how many tasks wait in the queue now."""
        if self._answered:  # rest tells nothing, and while nothing at all is answered the oldest request tells all
            rate = self._answered / seconds
            self._capacity = _faded(self._capacity, max(rate, self._fastest))
            if self.outstanding and self._behind:  # otherwise it tells how many came, not how many can be answered
                self._rate = _faded(self._rate, rate)
        self._behind = self.outstanding > 0
        # What other processes published meanwhile is not known, so the queue may lose more than this.
        self._drain = _faded(self._drain, max(0.0, (self._published + self._depth - depth) / seconds))
        self._answered = self._published = 0
        self._fastest = 0.0
        self._depth = depth

    def wait(self, oldest: float) -> float:
        """Seconds that a request would wait; `oldest` is the age of the oldest unanswered one in seconds."""
        queued = self._depth / max(self._drain, _LEAST_DRAIN)
        rate = self._capacity if oldest < _LATE else self._rate
        return max(oldest, queued, self.outstanding / rate if rate else 0.0)


def _faded(before: float, now: float) -> float:
    return now if now > before else 0.7 * before + 0.3 * now
