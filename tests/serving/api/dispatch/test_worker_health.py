"""Readiness counts the workers that take tasks from the queue and end them, not those that are merely alive."""

from __future__ import annotations

from typing import Any

from serving.api.dispatch.worker_health import skew_notes, worker_problem
from serving.wire.consumer_status import ConsumerStatus


def _consumer(**changes: Any) -> ConsumerStatus:
    state: dict[str, Any] = {
        "is_consuming": True,
        "held": 0,
        "stalled_seconds": 0.0,
        "is_ready": True,
        "broker_id": "b",
    }
    return ConsumerStatus(**{"name": "w/1", "seen_at": 0.0, **state, **changes})


def _problem(*consumers: ConsumerStatus, counted: int | None = None, older: int = 0) -> str | None:
    broker_id = "b" if counted is None else None
    return worker_problem(queue_consumers=counted, broker_id=broker_id, consumers=consumers, older_workers=older)


def test_a_worker_that_consumes_another_broker_does_not_count() -> None:
    """Nor does one that has stopped to consume."""
    assert _problem(_consumer()) is None
    for consumer in (_consumer(broker_id="other"), _consumer(is_consuming=False)):
        assert "1 are alive" in (_problem(consumer) or "")
    assert _problem(_consumer(broker_id="other"), _consumer()) is None
    assert _problem() == "no worker is running"


def test_workers_that_end_none_of_their_tasks_are_told() -> None:
    stalled = _consumer(held=64, stalled_seconds=31.0, is_ready=False)
    assert _problem(stalled) == "the workers hold 64 tasks and have finished none for 31 s"
    assert _problem(stalled, _consumer()) is None
    on_rabbitmq = _consumer(held=64, stalled_seconds=31.0, is_ready=False, broker_id=None)
    assert "64 tasks" in (_problem(on_rabbitmq, counted=1) or "")
    assert _problem(on_rabbitmq, counted=2) is None, "one consumer has not reported"


def test_the_broker_counts_where_it_can() -> None:
    assert _problem(_consumer(broker_id=None), counted=0) is not None
    assert _problem(_consumer(broker_id=None), counted=1) is None


def test_workers_of_the_previous_release_count_while_they_are_replaced() -> None:
    assert _problem(older=1) is None
    assert _problem(_consumer(broker_id="other"), older=1) is None


def test_clocks_that_differ_are_named() -> None:
    consumers = [_consumer(clock_skew_seconds=35.2), _consumer(name="w/2", clock_skew_seconds=0.1)]
    assert skew_notes(consumers, -60) == [
        "the clock of worker w/1 is 35 s ahead of the result store's",
        "the clock of this API process is 60 s behind the result store's",
    ]
