"""Which tasks share a call, and what becomes of those whose child dies."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from billiard.exceptions import WorkerLostError
from redis import RedisError

from serving.worker.batching import LOSSES, MATCHES, Batcher
from serving.worker.execution import PREDICT, PREDICT_TOGETHER, Report


class Pool:
    """A pool of one child that answers when it is told to."""

    num_processes = 1

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.succeed: Callable[[Report], None] = lambda _: None
        self.fail: Callable[[Any], None] = lambda _: None

    def apply_async(self, _target: Any, args: Any, callback: Any, error_callback: Any, **_: Any) -> None:
        self.batches.append([call.task_id for call in args[0]])
        self.succeed, self.fail = callback, error_callback


class Backend:
    """Counts, and remembers failures."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.failed: dict[str, str] = {}
        self.client = self

    def incr(self, key: str) -> int:
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]

    def expire(self, key: str, seconds: int) -> None:
        assert key in self.counts

    def mark_as_failure(self, task_id: str, error: Exception, request: Any) -> None:
        self.failed[task_id] = str(error)


class Task:
    """A task's message as the batcher sees it."""

    def __init__(
        self, name: str, backend: Backend, redelivered: bool = False, revoked: bool = False, matches: int = 0
    ) -> None:
        self.id = name
        self.type, self.args = (PREDICT_TOGETHER, [{"matches": matches}]) if matches else (PREDICT, [{}])
        self.request_dict: dict[str, Any] = {}
        self.delivery_info = {"redelivered": redelivered}
        self.task = SimpleNamespace(backend=backend)
        self._context, self._revoked = None, revoked
        self.outcome: str | None = None

    def revoked(self) -> bool:
        return self._revoked

    def acknowledge(self) -> None:
        self.outcome = "acknowledged"

    def reject(self, requeue: bool) -> None:
        self.outcome = "requeued" if requeue else "rejected"


def _batcher(limit: int = 64) -> tuple[Batcher, Pool, list[Report]]:
    pool, reports = Pool(), list[Report]()
    return Batcher(None, pool, limit, reports.append), pool, reports


LOST = SimpleNamespace(exception=WorkerLostError("signal 9"))


def test_a_task_goes_at_once_and_those_that_wait_meanwhile_go_together() -> None:
    batcher, pool, reports = _batcher()
    tasks = [Task(name, Backend()) for name in "abcd"]
    for task in tasks:
        batcher.add(task)
    assert pool.batches == [["a"]]
    pool.succeed(Report(1))
    assert pool.batches == [["a"], ["b", "c", "d"]]
    pool.succeed(Report(3))
    assert {task.outcome for task in tasks} == {"acknowledged"}
    assert [report.matches for report in reports] == [1, 3]


def test_no_batch_is_larger_than_the_limit_and_revoked_tasks_do_not_run() -> None:
    batcher, pool, _ = _batcher(limit=2)
    for name in "abcde":
        batcher.add(Task(name, Backend(), revoked=name == "c"))
    pool.succeed(Report(1))
    pool.succeed(Report(2))
    assert pool.batches == [["a"], ["b", "d"], ["e"]]


def test_tasks_share_a_call_up_to_its_limit_and_larger_ones_run_alone() -> None:
    batcher, pool, _ = _batcher()
    for name, matches in (("a", 0), ("b", 600), ("c", 400), ("d", 0), ("e", MATCHES), ("f", 2 * MATCHES), ("g", 0)):
        batcher.add(Task(name, Backend(), matches=matches))
    while batcher.busy:
        pool.succeed(Report(1))
    assert pool.batches == [["a"], ["b", "c"], ["d"], ["e"], ["f"], ["g"]]


def test_tasks_of_a_dead_child_return_to_the_queue_and_then_run_alone() -> None:
    batcher, pool, _ = _batcher()
    tasks = [Task(name, Backend()) for name in "abc"]
    for task in tasks:
        batcher.add(task)
    pool.succeed(Report(1))
    pool.fail(LOST)
    assert [task.outcome for task in tasks] == ["acknowledged", "requeued", "requeued"]
    for task in tasks[1:]:
        batcher.add(Task(task.id, Backend(), redelivered=True))
    pool.succeed(Report(1))
    assert pool.batches[2:] == [["b"], ["c"]]


def test_a_task_that_ends_every_child_alone_is_given_up_and_reported() -> None:
    batcher, pool, _ = _batcher()
    backend = Backend()
    outcomes = []
    for _ in range(LOSSES):
        task = Task("poison", backend, redelivered=True)
        batcher.add(task)
        pool.fail(LOST)
        outcomes.append(task.outcome)
    assert outcomes == ["requeued"] * (LOSSES - 1) + ["acknowledged"]
    assert "3 worker processes" in backend.failed["poison"]


def test_a_death_while_nobody_counts_returns_the_task_and_the_next_ones_go_on() -> None:
    class Away(Backend):
        def incr(self, key: str) -> int:
            raise RedisError(f"cannot count {key}")

    batcher, pool, _ = _batcher()
    first, second = Task("a", Away()), Task("b", Away())
    batcher.add(first)
    batcher.add(second)
    pool.fail(LOST)
    assert first.outcome == "requeued"
    assert pool.batches == [["a"], ["b"]]


def test_a_batch_that_raised_without_a_death_returns_to_the_queue_without_being_counted() -> None:
    batcher, pool, _ = _batcher()
    backend = Backend()
    task = Task("a", backend)
    batcher.add(task)
    pool.fail(SimpleNamespace(exception=OSError("results are away")))
    assert task.outcome == "requeued"
    assert backend.counts == {}
