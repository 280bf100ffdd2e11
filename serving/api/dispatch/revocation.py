"""Tells the workers to drop tasks that no client waits for any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from celery import Celery

from serving.addresses import Address
from serving.settings import ServingSettings
from serving.sockets import kombu_encryption, kombu_options

log = structlog.get_logger(__name__)
_TIMEOUT_SECONDS = 5.0


class _Client(Celery):  # type: ignore[misc]  # Celery has no types
    """A client of one broker. Celery's own prefers CELERY_BROKER_URL of the environment to the address it is given."""

    def __init__(self, broker: Address) -> None:
        super().__init__(broker=broker.url, set_as_current=False)
        self.broker_url = broker.url
        self.conf.broker_use_ssl = kombu_encryption(broker)
        self.conf.broker_transport_options = kombu_options(broker, answer_seconds=_TIMEOUT_SECONDS)

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        return super().connection_for_write(url or self.broker_url, **options)


class Revoker:
    """A Celery client that broadcasts revocations and does nothing else."""

    def __init__(self, settings: ServingSettings) -> None:
        self._app = _Client(settings.broker)

    async def revoke(self, task_ids: Sequence[str]) -> None:
        """Revoke tasks. A failure is only logged, because the tasks expire anyway."""
        try:
            await asyncio.wait_for(asyncio.to_thread(self._app.control.revoke, list(task_ids)), _TIMEOUT_SECONDS)
        except Exception as error:
            log.warning("tasks.revoke_failed", tasks=len(task_ids), error=str(error))
