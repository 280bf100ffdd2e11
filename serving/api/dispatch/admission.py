"""Admission control: immediately refuses requests that could not be answered in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from monitoring.metrics import SHED_REQUESTS
from serving.errors import NoWorkersAvailableError, OverloadedError
from serving.settings import ServingSettings

NO_WORKERS_GRACE_SECONDS = 5.0
"""After the last worker disconnects, requests are accepted for this long; it may be restarting."""
STALLED_AFTER_SECONDS = 1.0
"""Age of the oldest unanswered request from which this process counts as stalled: requests arrive faster than they are
answered, so the estimated wait includes the time for all outstanding matches."""
MIN_DRAIN_RATE = 50.0
"""Drain rate of the queue, in tasks per second, that is assumed until a rate has been measured."""


class LoadEstimator:
    """Estimates how long a new request would wait, from the tasks of one API process. Updated once per second."""

    def __init__(self) -> None:
        self.outstanding = 0
        """Matches requested from this process but not yet answered."""
        self._was_busy = False
        self._answered = 0
        self._answer_rate = 0.0
        self._published = 0
        self._queue_length = 0
        self._drain_rate = 0.0

    def count_answered(self, matches: int) -> None:
        """Count the matches of a task that was answered."""
        self._answered += matches

    def count_published(self) -> None:
        """Count a task that the queue accepted."""
        self._published += 1

    def update(self, seconds: float, queue_length: int) -> None:
        """Measure the rates of the last `seconds`; `queue_length` is the number of tasks in the queue now."""
        is_busy = self.outstanding > 0
        # The answer rate measures capacity only while requests wait; otherwise it would measure arrivals. The age of
        # the oldest request covers seconds without an answer.
        if self._answered and is_busy and self._was_busy:
            self._answer_rate = _decay(self._answer_rate, self._answered / seconds)
        self._was_busy = is_busy
        # A lower bound: tasks that other API processes published meanwhile are not known here.
        drained = self._published + self._queue_length - queue_length
        self._drain_rate = _decay(self._drain_rate, max(0.0, drained / seconds))
        self._answered = self._published = 0
        self._queue_length = queue_length

    def estimated_wait(self, oldest_age: float) -> float:
        """Seconds that a new request would wait; `oldest_age` is the age of the oldest unanswered one in seconds."""
        queue_wait = self._queue_length / max(self._drain_rate, MIN_DRAIN_RATE)
        is_stalled = self._answer_rate > 0 and oldest_age >= STALLED_AFTER_SECONDS
        own_wait = self.outstanding / self._answer_rate if is_stalled else 0.0
        return max(oldest_age, queue_wait, own_wait)


class Admission:
    """Decides whether a request is accepted. One per API process."""

    def __init__(
        self, settings: ServingSettings, load: LoadEstimator, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._load = load
        self._clock = clock
        self._no_workers_since: float | None = None

    @property
    def no_workers(self) -> bool:
        """Whether there was no worker when the broker was last polled."""
        return self._no_workers_since is not None

    def update_workers(self, any_alive: bool) -> None:
        """Record whether any worker takes tasks."""
        if any_alive:
            self._no_workers_since = None
        elif self._no_workers_since is None:
            self._no_workers_since = self._clock()

    def check_wait(self, route: str, oldest_age: float) -> None:
        """Refuse a synchronous request that would wait too long; raises OverloadedError or NoWorkersAvailableError."""
        if self._no_workers_since is not None and self._clock() - self._no_workers_since > NO_WORKERS_GRACE_SECONDS:
            raise NoWorkersAvailableError("no worker is running; the task was not queued")
        wait, limit = self._load.estimated_wait(oldest_age), self._settings.shed_above_wait_seconds
        if wait > limit:
            SHED_REQUESTS.labels(route).inc()
            error = OverloadedError(f"overloaded: a new request would wait about {wait:.0f} s; try again later")
            error.retry_after_seconds = min(30, math.ceil(wait - limit) + 1)
            raise error

    def check_queue(self, route: str, queue_length: int) -> None:
        """Refuse an asynchronous task if the queue is full; raises OverloadedError."""
        if queue_length >= self._settings.max_queue_length:
            SHED_REQUESTS.labels(route).inc()
            raise OverloadedError(f"overloaded: {queue_length} tasks are in the queue; try again later")


def _decay(previous: float, current: float) -> float:
    """Follow an increase at once and a decrease slowly."""
    return current if current > previous else 0.7 * previous + 0.3 * current
