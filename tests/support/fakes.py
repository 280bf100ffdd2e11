"""Stand-ins for models, brokers, stores and parts of Celery. Each does what a test sets and records its calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from features.errors import TouchlineError
from features.io.registry import LoadedModel, ModelVersion
from serving.api.dispatch.broker import QueueStats
from serving.wire.consumer_status import ConsumerStatus
from serving.wire.messages import Message
from serving.wire.queue import QUEUE
from serving.wire.store_clock import StoreClock
from serving.wire.tasks import PREDICT_ASYNC, PREDICT_COLUMNS
from serving.wire.worker_status import WorkerStatus
from serving.worker.execution import BatchReport
from serving.worker.predictor import ModelSource


class EloModel:
    """A model that needs no training: it uses the Elo difference and a draw probability of one quarter."""

    features = ("elo",)

    def predict_proba(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return probabilities (n, 3) for model input whose first column is the Elo difference."""
        home = 1 / (1 + np.exp(-4 * x[:, 0]))
        return np.column_stack([0.75 * home, np.full(len(x), 0.25), 0.75 * (1 - home)])


class OneVersionRegistry(ModelSource):
    """A registry that holds one version, under every alias."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model

    def by_alias(self, alias: str, /) -> ModelVersion:
        """Return the version."""
        return self.model.version

    def versions(self) -> list[ModelVersion]:
        """Return the version alone."""
        return [self.model.version]

    def load(self, version: ModelVersion, /) -> LoadedModel:
        """Return the model."""
        return self.model


class FakeClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class FakeBroker:
    """Keeps what is published. Confirms once `confirm` is set, then raises `error` if there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.published: list[Message] = []
        self.confirm = asyncio.Event()
        self.confirm.set()
        self.error = error
        self.consumers: int | None = 1
        self.broker_id: str | None = None

    async def publish(self, message: Message) -> None:
        self.published.append(message)
        await self.confirm.wait()
        if self.error is not None:
            raise self.error

    async def queue_stats(self) -> list[QueueStats]:
        return [QueueStats(QUEUE, 0, self.consumers)]

    async def drain_dead_letters(self, store_failure: Callable[[str, TouchlineError], Awaitable[None]]) -> None:
        pass

    async def close(self) -> None:
        pass


class FakeResultStore:
    """Futures and stored results by task id."""

    def __init__(self) -> None:
        self.futures: dict[str, asyncio.Future[bytes]] = {}
        self.stored: dict[str, bytes] = {}
        self.clock = StoreClock()
        self.problem: str | None = None

    async def poll(self) -> None:
        """Nothing to find out."""

    def new_task_id(self) -> str:
        return f"task-{len(self.futures)}"

    def expect(self, task_id: str) -> asyncio.Future[bytes]:
        self.futures[task_id] = asyncio.get_running_loop().create_future()
        return self.futures[task_id]

    async def status(self, task_id: str) -> tuple[bytes | None, bytes | None]:
        return self.stored.get(task_id), None

    async def workers(self) -> list[WorkerStatus]:
        return []

    async def consumers(self) -> list[ConsumerStatus]:
        return []


class FakePool:
    """A Celery pool of one child, which ends a batch when the test calls `succeed` or `fail`."""

    num_processes = 1

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.succeed: Callable[[BatchReport], None] = lambda _: None
        self.fail: Callable[[Any], None] = lambda _: None

    def apply_async(self, _target: Any, args: Any, callback: Any, error_callback: Any, **_: Any) -> None:
        self.batches.append([invocation.task_id for invocation in args[0]])
        self.succeed, self.fail = callback, error_callback


class FakeBackend:
    """A Celery result backend and its Redis client: counts crashes, and keeps what is stored."""

    def __init__(self, error: Exception | None = None) -> None:
        self.counts: dict[str, int] = {}
        self.stored: dict[str, bytes] = {}
        self.error = error
        self.client = self

    def incr(self, key: str) -> int:
        if self.error is not None:
            raise self.error
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]

    def expire(self, key: str, seconds: int) -> None:
        assert key in self.counts
        assert seconds > 0

    def eval(self, _script: str, _keys: int, key: str, document: bytes, ttl_seconds: int) -> None:
        assert ttl_seconds > 0
        self.stored.setdefault(key, document)


class FakeRequest:
    """A Celery request as the batcher sees it; `matches` makes it a task of columns."""

    def __init__(
        self, name: str, backend: FakeBackend, redelivered: bool = False, revoked: bool = False, matches: int = 0
    ) -> None:
        self.id = name
        self.type, self.args = (PREDICT_COLUMNS, [{"matches": matches}]) if matches else (PREDICT_ASYNC, [{}])
        self.request_dict: dict[str, Any] = {}
        self.delivery_info = {"redelivered": redelivered}
        self.task = SimpleNamespace(backend=backend)
        self.outcome: str | None = None
        self._revoked = revoked

    def revoked(self) -> bool:
        return self._revoked

    def acknowledge(self) -> None:
        self.outcome = "acknowledged"

    def reject(self, requeue: bool) -> None:
        self.outcome = "requeued" if requeue else "rejected"
