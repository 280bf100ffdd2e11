"""Tells the workers to drop tasks that no client waits for any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from celery import Celery

from serving.settings import ServingSettings

log = structlog.get_logger(__name__)
_TIMEOUT_SECONDS = 5.0


class Revoker:
    """A Celery client that broadcasts revocations and does nothing else."""

    def __init__(self, settings: ServingSettings) -> None:
        self._app = Celery(broker=settings.celery_broker_url, set_as_current=False)

    async def revoke(self, task_ids: Sequence[str]) -> None:
        """Revoke tasks. A failure is only logged, because the tasks expire anyway."""
        try:
            await asyncio.wait_for(asyncio.to_thread(self._app.control.revoke, list(task_ids)), _TIMEOUT_SECONDS)
        except Exception as error:
            log.warning("tasks.revoke_failed", tasks=len(task_ids), error=str(error))
