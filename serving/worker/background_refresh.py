"""Background work of a child process: refresh model and team states, and report that the process is alive."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import structlog
from redis import Redis, RedisError

from serving.settings import ServingSettings
from serving.telemetry import memory
from serving.wire.worker_status import WORKER_REGISTRY_KEY, WorkerStatus, encode_status
from serving.worker import heartbeat
from serving.worker.consumer_report import synchronise
from serving.worker.dependencies import get_predictor, get_redis, get_settings, get_store_clock

if TYPE_CHECKING:
    from serving.worker.predictor import Predictor

STATUS_INTERVAL_SECONDS = 2.0
"""A process counts as gone after `serving.wire.worker_status.WORKER_TTL`, so one lost report does no harm."""
log = structlog.get_logger(__name__)


def start_refreshing() -> None:
    """Start the background work of this child process; it ends with the process."""
    start_background_refresh(get_predictor(), get_settings(), get_redis(), stop=threading.Event())


def start_background_refresh(
    predictor: Predictor, settings: ServingSettings, results: Redis, stop: threading.Event
) -> None:
    """Keep the model and the team states of a process up to date, and publish its status, until `stop` is set.

    Three threads are used, so that a registry or a lake that does not answer delays neither the other nor the status.
    """

    def refresh_model() -> None:
        if predictor.refresh_model():
            log.info("model.reloaded", version=predictor.active.version if predictor.active else None)
            report()
            memory.trim_heap()  # memory that loading the model needed

    def report() -> None:
        if predictor.active is not None:
            heartbeat.renew(settings.heartbeat_dir, heartbeat.MODEL)
        publish_status(predictor, results)

    interval = settings.model_poll_seconds
    jobs = (
        ("refresh-model", refresh_model, interval),
        ("refresh-team-states", predictor.refresh_team_states, interval),
        ("publish-status", report, min(interval, STATUS_INTERVAL_SECONDS)),
    )
    for job in jobs:
        threading.Thread(target=_repeat, args=(*job, stop), name=job[0], daemon=True).start()


def _repeat(name: str, work: Callable[[], object], interval_seconds: float, stop: threading.Event) -> None:
    while True:
        try:
            work()
        except Exception as error:
            log.warning("refresh.failed", work=name, error=str(error))
        if stop.wait(interval_seconds):
            return


def worker_id() -> str:
    """Name of this process in the worker registry."""
    return f"{os.uname().nodename}/{os.getpid()}"


def publish_status(predictor: Predictor, results: Redis) -> None:
    """Write the status of this process to the worker registry."""
    clock = get_store_clock()
    try:
        synchronise(clock, results)
    except (RedisError, OSError) as error:
        log.warning("worker.status_not_published", error=str(error))
        return
    now = datetime.fromtimestamp(clock.now(), UTC)
    status = WorkerStatus(
        name=worker_id(),
        pid=os.getpid(),
        seen_at=now,
        worker=f"{os.uname().nodename}/{os.getppid()}",
        error=predictor.error,
    )
    if (active := predictor.active) is not None:
        version = active.model.version
        status = msgspec.structs.replace(
            status,
            model_name=version.name,
            model_version=active.version,
            loaded_at=active.loaded_at,
            created_at=version.created_at,
            trained_through=version.trained_through,
            features=list(active.model.features),
            tags=dict(version.tags),
        )
    try:
        results.hset(WORKER_REGISTRY_KEY, status.name, encode_status(status))
    except (RedisError, OSError) as error:
        log.warning("worker.status_not_published", error=str(error))


def deregister(results: Redis) -> None:
    """Remove this process from the worker registry. Without it the entry expires a little later."""
    with contextlib.suppress(RedisError, OSError):
        results.hdel(WORKER_REGISTRY_KEY, worker_id())
