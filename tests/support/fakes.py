"""Small stand-ins for models, the registry, the broker and the result store, typed against what they stand in for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from features.io.registry import LoadedModel, ModelVersion
from serving.api.dispatch.broker import Broker, Depth, Message
from serving.settings import QUEUE
from serving.worker.predictor import Models


class EloModel:
    """A model that needs no training: the Elo difference decides, and a quarter of the matches is drawn."""

    features = ("elo",)

    def predict_proba(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return probabilities (n, 3) for model input whose first column is the Elo difference."""
        home = 1 / (1 + np.exp(-4 * x[:, 0]))
        return np.column_stack([0.75 * home, np.full(len(x), 0.25), 0.75 * (1 - home)])


class OneVersionRegistry(Models):
    """A registry that holds one version, under every alias."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model

    def by_alias(self, alias: str, /) -> ModelVersion:
        """Return the version."""
        return self.model.version

    def load(self, version: ModelVersion, /) -> LoadedModel:
        """Return the model."""
        return self.model


class FakeBroker(Broker):
    """Keeps messages; confirms while `confirm` is set, and fails with `error`, or as often as `failures` says."""

    def __init__(self, failures: int = 0) -> None:
        self.messages: list[Message] = []
        self.confirm = asyncio.Event()
        self.confirm.set()
        self.error: Exception | None = None
        self.failures = failures
        self.consumers: int | None = 1

    async def publish(self, message: Message) -> None:
        """Take a message over."""
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the process ends here")
        self.messages.append(message)
        await self.confirm.wait()
        if self.error is not None:
            raise self.error

    async def depths(self) -> list[Depth]:
        """Return an empty queue with `consumers`."""
        return [Depth(QUEUE, 0, self.consumers)]

    async def bury(self, report: Callable[[str], Awaitable[None]]) -> None:
        """Report nothing: no task is ever given up."""

    async def close(self) -> None:
        """There is no connection."""


class FakeResults:
    """Futures by task id, and stored results that are found without an announcement."""

    def __init__(self) -> None:
        self.futures: dict[str, asyncio.Future[bytes]] = {}
        self.stored: dict[str, bytes] = {}

    def new_task_id(self) -> str:
        """Return task-0, task-1, ..."""
        return f"task-{len(self.futures)}"

    def expect(self, task_id: str) -> asyncio.Future[bytes]:
        """Return the future of a task's result."""
        self.futures[task_id] = asyncio.get_running_loop().create_future()
        return self.futures[task_id]

    async def status(self, task_id: str) -> tuple[bytes | None, bytes | None]:
        """Return the stored result of a task, and that nothing is known of it otherwise."""
        return self.stored.get(task_id), None

    async def workers(self) -> list[dict[str, Any]]:
        """Return no worker."""
        return []
