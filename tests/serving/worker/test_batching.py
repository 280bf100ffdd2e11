"""Which tasks share a call, and what happens to tasks whose child process dies."""

from __future__ import annotations

from types import SimpleNamespace

import orjson
from billiard.exceptions import WorkerLostError
from redis import RedisError

from serving.wire.limits import MAX_MATCHES_PER_CALL, MAX_WORKER_CRASHES
from serving.wire.results import result_key
from serving.worker.batching import Batcher
from serving.worker.execution import BatchReport
from tests.support.fakes import FakeBackend, FakePool, FakeRequest

CRASH = SimpleNamespace(exception=WorkerLostError("signal 9"))
APP = SimpleNamespace(conf=SimpleNamespace(touchline_result_ttl_seconds=60))


def _batcher(max_tasks: int = 64) -> tuple[Batcher, FakePool, list[BatchReport]]:
    pool, reports = FakePool(), list[BatchReport]()
    return Batcher(APP, pool, max_tasks, reports.append), pool, reports


def test_tasks_that_arrive_during_a_call_share_the_next_one() -> None:
    batcher, pool, reports = _batcher()
    tasks = [FakeRequest(name, FakeBackend()) for name in "abcd"]
    for task in tasks:
        batcher.add(task)
    assert pool.batches == [["a"]]
    pool.succeed(BatchReport(1))
    assert pool.batches == [["a"], ["b", "c", "d"]]
    pool.succeed(BatchReport(3))
    assert {task.outcome for task in tasks} == {"acknowledged"}
    assert [report.matches for report in reports] == [1, 3]


def test_batches_keep_their_limit_and_skip_revoked_tasks() -> None:
    batcher, pool, _ = _batcher(max_tasks=2)
    for name in "abcde":
        batcher.add(FakeRequest(name, FakeBackend(), revoked=name == "c"))
    pool.succeed(BatchReport(1))
    pool.succeed(BatchReport(2))
    assert pool.batches == [["a"], ["b", "d"], ["e"]]


def test_tasks_share_a_call_up_to_its_limit_of_matches() -> None:
    batcher, pool, _ = _batcher()
    full = MAX_MATCHES_PER_CALL
    sizes = {"a": 0, "b": 600, "c": 400, "d": 0, "e": full, "f": 2 * full, "g": 0}
    for name, matches in sizes.items():
        batcher.add(FakeRequest(name, FakeBackend(), matches=matches))
    while batcher.busy:
        pool.succeed(BatchReport(1))
    assert pool.batches == [["a"], ["b", "c"], ["d"], ["e"], ["f"], ["g"]]


def test_tasks_of_a_crashed_child_are_requeued_and_run_alone() -> None:
    batcher, pool, _ = _batcher()
    tasks = [FakeRequest(name, FakeBackend()) for name in "abc"]
    for task in tasks:
        batcher.add(task)
    pool.succeed(BatchReport(1))
    pool.fail(CRASH)
    assert [task.outcome for task in tasks] == ["acknowledged", "requeued", "requeued"]
    for task in tasks[1:]:
        batcher.add(FakeRequest(task.id, FakeBackend(), redelivered=True))
    pool.succeed(BatchReport(1))
    assert pool.batches[2:] == [["b"], ["c"]]


def test_a_task_that_keeps_crashing_children_is_stored_as_failed() -> None:
    batcher, pool, _ = _batcher()
    backend = FakeBackend()
    outcomes = []
    for _ in range(MAX_WORKER_CRASHES):
        task = FakeRequest("poison", backend, redelivered=True)
        batcher.add(task)
        pool.fail(CRASH)
        outcomes.append(task.outcome)
    assert outcomes == ["requeued"] * (MAX_WORKER_CRASHES - 1) + ["acknowledged"]
    stored = orjson.loads(backend.stored[result_key("poison")])
    assert stored["status"] == "FAILURE"
    assert "3 worker processes" in stored["result"]["exc_message"][0]


def test_a_crash_that_cannot_be_counted_requeues_the_task() -> None:
    batcher, pool, _ = _batcher()
    backend = FakeBackend(RedisError("the result store is away"))
    first, second = FakeRequest("a", backend), FakeRequest("b", backend)
    batcher.add(first)
    batcher.add(second)
    pool.fail(CRASH)
    assert first.outcome == "requeued"
    assert pool.batches == [["a"], ["b"]]


def test_a_batch_that_raised_is_requeued_and_not_counted() -> None:
    batcher, pool, _ = _batcher()
    backend = FakeBackend()
    task = FakeRequest("a", backend)
    batcher.add(task)
    pool.fail(SimpleNamespace(exception=OSError("results are away")))
    assert task.outcome == "requeued"
    assert backend.counts == {}
