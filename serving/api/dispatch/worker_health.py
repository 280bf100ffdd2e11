"""Judges from the reports of broker and workers whether tasks are taken and ended."""

from __future__ import annotations

from collections.abc import Sequence

from serving.wire.consumer_status import ConsumerStatus
from serving.wire.queue import QUEUE

SKEW_TOLD_FROM_SECONDS = 2.0
"""Clock skew from which readiness mentions it. Tasks and reports do not depend on it."""


def worker_problem(
    *, queue_consumers: int | None, broker_id: str | None, consumers: Sequence[ConsumerStatus], older_workers: int
) -> str | None:
    """Why no worker ends tasks; None if at least one does.

    `queue_consumers` is what the broker counts, if it does. Otherwise the workers on the same broker are counted.
    `older_workers` are processes of version 0.1, of which nothing more is known than that they are alive.
    """
    taking = [consumer for consumer in consumers if consumer.is_consuming and consumer.broker_id == broker_id]
    count = len(taking) + older_workers if queue_consumers is None else queue_consumers
    if count == 0:
        if consumers:
            return (
                f"no worker is running that takes tasks from queue {QUEUE} of this broker; {len(consumers)} are alive"
            )
        return "no worker is running"
    if older_workers or count > len(taking) or any(consumer.is_ready for consumer in taking):
        return None
    held, seconds = sum(consumer.held for consumer in taking), max(consumer.stalled_seconds for consumer in taking)
    return f"the workers hold {held} tasks and have finished none for {seconds:.0f} s"


def skew_notes(consumers: Sequence[ConsumerStatus], own_skew_seconds: float) -> list[str]:
    """One sentence for each clock that differs from the result store's."""
    skews = {f"worker {consumer.name}": consumer.clock_skew_seconds for consumer in consumers}
    skews["this API process"] = own_skew_seconds
    return [
        f"the clock of {name} is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the result store's"
        for name, seconds in skews.items()
        if abs(seconds) >= SKEW_TOLD_FROM_SECONDS
    ]
