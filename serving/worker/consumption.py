"""Whether the worker's main process consumes our queue, and whether it ends the tasks that it holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from serving.wire.limits import CALL_TIME_LIMIT_SECONDS

LOOP_INTERVAL_SECONDS = 2.0
LOOP_LATE_AFTER_SECONDS = 20.0
"""Age of the event loop's last report from which it counts as stuck; a store that hangs can block it for seconds."""
STALLED_AFTER_SECONDS = 30.0
"""Time without a finished task, while the worker holds some, after which it does not count as ready."""
STUCK_AFTER_SECONDS = CALL_TIME_LIMIT_SECONDS + 60
"""The same for liveness. A call that takes too long is ended before."""


class Consumption:
    """What the main process's event loop reports. Other threads read it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._received_at: dict[Any, float] = {}
        self._settled_at = clock()
        self._is_consuming = False
        self._reported_at = clock()
        self.broker_id: str | None = None
        """Identity of the Redis that the queue is on; None on RabbitMQ, which counts its consumers itself."""

    def watch(self, channel: Any) -> None:
        """Follow the messages of a new channel; the broker redelivers those of an older one."""
        self._received_at.clear()
        for name in ("basic_ack", "basic_reject"):
            setattr(channel, name, self._settling(getattr(channel, name)))

    def add(self, delivery_tag: Any) -> None:
        """Record that a message was delivered."""
        if not self._received_at:
            self._settled_at = self._clock()
        self._received_at[delivery_tag] = self._clock()

    def report(self, is_consuming: bool, broker_id: str | None) -> None:
        """Record what the event loop found: whether the broker delivers messages of our queue to this process."""
        self._is_consuming, self.broker_id, self._reported_at = is_consuming, broker_id, self._clock()

    @property
    def held(self) -> int:
        """How many messages are delivered and not settled."""
        return len(self._received_at)

    @property
    def is_consuming(self) -> bool:
        """Whether the event loop runs and consumes our queue."""
        return self._is_consuming and self._clock() - self._reported_at < LOOP_LATE_AFTER_SECONDS

    @property
    def stalled_seconds(self) -> float:
        """Seconds since a message was last settled, while others are held; 0 if none is."""
        return self._clock() - self._settled_at if self._received_at else 0.0

    @property
    def is_ready(self) -> bool:
        """Whether tasks are taken and ended."""
        return self.is_consuming and self.stalled_seconds < STALLED_AFTER_SECONDS

    @property
    def is_stuck(self) -> bool:
        """Whether only a restart can help."""
        return self.stalled_seconds >= STUCK_AFTER_SECONDS

    def _settling(self, settle: Callable[..., Any]) -> Callable[..., Any]:
        def call(delivery_tag: Any, *args: Any, **kwargs: Any) -> Any:
            answer = settle(delivery_tag, *args, **kwargs)
            if self._received_at.pop(delivery_tag, None) is not None:
                self._settled_at = self._clock()
            return answer

        return call
