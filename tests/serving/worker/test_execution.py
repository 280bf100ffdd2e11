"""What a child process of the worker stores, announces and reports."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from redis import Redis

from features.errors import LeakageError
from monitoring.metrics import PROCESS_REGISTRY, Mode
from serving.wire.columns import FixtureBatch
from serving.wire.results import result_key
from serving.wire.tasks import PREDICT_ASYNC
from serving.worker.execution import ResultWriter, TaskInvocation, execute_batch
from serving.worker.metrics import observe_batch
from serving.worker.predictor import Prediction
from tests.support.predictor_helpers import FIXTURE


@pytest.fixture
def client(valkey: str) -> Iterator[Redis]:
    """A client of a database that only this test uses."""
    store = Redis.from_url(f"{valkey}/13")
    yield store
    store.flushdb()


def test_a_task_that_runs_twice_keeps_and_announces_its_first_result(client: Redis) -> None:
    channel = client.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(result_key("twice"))
    writer = ResultWriter(client, ttl_seconds=60)
    writer.store({"twice": {"home": 0.5}})
    writer.store({"twice": {"home": 0.9}})
    stored = client.get(result_key("twice"))
    announced: list[bytes] = []
    deadline = time.monotonic() + 10
    while len(announced) < 2 and time.monotonic() < deadline:
        message = channel.get_message(timeout=1)
        announced += [message["data"]] if message else []
    assert announced == [stored, stored]
    assert b"0.5" in stored
    assert 0 < client.ttl(result_key("twice")) <= 60


class _TooLate:
    """A predictor that refuses every batch."""

    def predict(self, batch: FixtureBatch) -> Prediction:
        raise LeakageError(f"{len(batch)} matches are too late")

    def pop_reload_counts(self) -> dict[str, int]:
        return {"success": 1}


def test_failed_asynchronous_tasks_are_counted_by_kind(client: Redis) -> None:
    """The API counts the errors of synchronous requests itself."""
    tasks = [
        TaskInvocation("a", PREDICT_ASYNC, [FIXTURE.to_wire()], Mode.ASYNC, track=True),
        TaskInvocation("b", PREDICT_ASYNC, [FIXTURE.to_wire()], Mode.SYNC),
    ]
    before = _errors()
    report = execute_batch(tasks, _TooLate(), ResultWriter(client, ttl_seconds=60))  # type: ignore[arg-type]  # test double
    observe_batch(report)
    assert _errors() - before == 1
    assert report.reloads == {"success": 1}
    assert all(b"2 matches are too late" in client.get(result_key(task.task_id)) for task in tasks)


def _errors() -> float:
    return PROCESS_REGISTRY.get_sample_value("touchline_errors_total", {"kind": "invalid_input"}) or 0.0
