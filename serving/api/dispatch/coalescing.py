"""Coalesces concurrent requests into one task.

There is no timer. If no task is being published, a request is published at once; otherwise it joins the next task.
Single matches and batches have separate coalescers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from serving.api.dispatch.requests import PendingRequest
from serving.wire.limits import MAX_MATCHES_PER_TASK, MAX_REQUESTS_PER_TASK


class RequestCoalescer:
    """Collects the requests of one mode. One per API process and mode."""

    def __init__(self, publish: Callable[[Sequence[PendingRequest]], Awaitable[Exception | None]]) -> None:
        """`publish` makes one task of several requests. If it fails, it ends them with an error and returns that."""
        self._publish = publish
        self._waiting: list[PendingRequest] = []
        self._publisher: asyncio.Task[None] | None = None

    def submit(self, request: PendingRequest) -> None:
        """Publish a request at once, or right after the task that is being published."""
        self._waiting.append(request)
        if self._publisher is None:
            self._publisher = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                error = await self._publish(self._next_batch())
                if error is not None:  # the queued requests would only wait for the same error
                    failed, self._waiting = self._waiting, []
                    for request in failed:
                        request.fail(type(error)(str(error)))
        finally:
            self._publisher = None

    def _next_batch(self) -> list[PendingRequest]:
        matches = count = 0
        for request in self._waiting[:MAX_REQUESTS_PER_TASK]:
            matches += len(request.fixtures)
            if matches > MAX_MATCHES_PER_TASK:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch
