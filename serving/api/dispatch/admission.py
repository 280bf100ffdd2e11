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
        self._rate = 0.0
        self._published = 0
        self._depth = 0
        self._drain = 0.0

    def answered(self, matches: int) -> None:
        """Count the answers of one task."""
        self._answered += matches

    def published(self) -> None:
        """Count a task that the queue took."""
        self._published += 1

    def tick(self, seconds: float, depth: int) -> None:
        """Take the rates of the last `seconds`; `depth` is how many tasks wait in the queue now."""
        behind = self.outstanding > 0
        # A second that began or ended with nobody waiting tells how many came, and one without an answer is a pause,
        # of which the oldest request tells: neither tells how many can be answered.
        if self._answered and behind and self._behind:
            self._rate = _faded(self._rate, self._answered / seconds)
        self._behind = behind
        # What other processes published meanwhile is not known, so the queue may lose more than this.
        self._drain = _faded(self._drain, max(0.0, (self._published + self._depth - depth) / seconds))
        self._answered = self._published = 0
        self._depth = depth

    def wait(self, oldest: float) -> float:
        """Seconds that a request would wait; `oldest` is the age of the oldest unanswered one in seconds."""
        queued = self._depth / max(self._drain, _LEAST_DRAIN)
        ahead = self.outstanding / self._rate if self._rate and oldest >= _LATE else 0.0
        return max(oldest, queued, ahead)


def _faded(before: float, now: float) -> float:
    return now if now > before else 0.7 * before + 0.3 * now
