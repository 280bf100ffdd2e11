"""The Celery worker: `python -m serving.worker`, or `celery -A serving.worker.app worker --pool prefork`."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import kombu.utils.json
import orjson
import structlog
from celery import Celery, signals
from kombu.entity import Exchange, Queue
from kombu.serialization import register

from serving.api.dispatch.broker import QUEUE_ARGUMENTS
from serving.settings import QUEUE, ServingSettings
from serving.telemetry import logging, memory, tracing
from serving.wire.columns import iso
from serving.worker import execution, heartbeat

if TYPE_CHECKING:
    from serving.worker.predictor import Predictor

log = structlog.get_logger(__name__)
_SIGN_OF_LIFE = 2.0
"""Seconds between two signs of life of a child: see `serving.api.dispatch.result_store.LIVENESS`."""


def configuration() -> dict[str, Any]:
    """Celery's settings; read from the environment when the app is first used, not on import."""
    settings = ServingSettings()
    amqp = settings.broker_is_amqp
    exchange = Exchange(QUEUE, type="topic" if amqp else "direct")
    transport = {"socket_timeout": 10, "socket_connect_timeout": 5, "socket_keepalive": True}
    return {
        "broker_url": settings.celery_broker_url,
        "result_backend": settings.results_url,
        "task_queues": [Queue(QUEUE, exchange, routing_key=QUEUE, queue_arguments=QUEUE_ARGUMENTS if amqp else None)],
        "task_default_queue": QUEUE,
        "task_default_exchange": QUEUE,
        "task_default_exchange_type": exchange.type,
        "task_default_routing_key": QUEUE,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": False,
        "task_send_sent_event": False,
        "worker_send_task_events": False,
        "worker_prefetch_multiplier": settings.worker_batch_size,
        "worker_concurrency": settings.worker_concurrency,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "result_expires": settings.result_ttl_seconds,
        "result_backend_always_retry": True,
        "redis_socket_timeout": transport["socket_timeout"],
        "redis_socket_connect_timeout": transport["socket_connect_timeout"],
        "redis_socket_keepalive": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_heartbeat": 10,
        "worker_consumer": "serving.worker.consumer:SwiftConsumer",
        "broker_transport_options": {"confirm_publish": True}
        if amqp
        else {**transport, "socket_timeout": 30, "visibility_timeout": settings.visibility_timeout},
        "touchline_batch_limit": settings.worker_batch_size,
        "touchline_on_report": logging.observe,
    }


# kombu's own decoder takes four times as long for a batch, and revives types that no task of ours has.
register("json", kombu.utils.json.dumps, orjson.loads, content_type="application/json", content_encoding="utf-8")
app = Celery("touchline", include=["serving.worker.tasks"])
app.add_defaults(configuration)
app.steps["worker"].add(heartbeat.Connected)


@signals.setup_logging.connect
def _log(**_: Any) -> None:
    logging.configure_logging(ServingSettings().log_level)


@signals.celeryd_init.connect
def _beat(**_: Any) -> None:
    heartbeat.Connected.folder = ServingSettings().heartbeat_dir
    heartbeat.keep_alive(heartbeat.Connected.folder)


@signals.worker_ready.connect
def _expose(**_: Any) -> None:
    port = ServingSettings().worker_metrics_port
    if port is not None:
        logging.serve_metrics(port)


@signals.worker_init.connect
def _preload(**_: Any) -> None:
    """Import before the fork what every child needs: one that replaces a killed one is there at once."""
    execution.preload()
    memory.use_one_allocator()
    memory.settle()


@signals.worker_process_init.connect
def _warm_up(**_: Any) -> None:
    tracing.configure(execution.settings().otlp_endpoint, "worker")
    threading.Thread(target=_begin, daemon=True).start()


@signals.worker_process_shutdown.connect
def _say_goodbye(**_: Any) -> None:
    from redis import RedisError

    from serving.api.dispatch.result_store import WORKERS

    with contextlib.suppress(RedisError, OSError):  # it is forgotten a little later then
        execution.results().hdel(WORKERS, _name())
    tracing.shutdown()


def _begin() -> None:
    look_after(execution.the_predictor(), execution.settings(), ended=threading.Event())  # it ends with the process


def look_after(predictor: Predictor, settings: ServingSettings, ended: threading.Event) -> None:
    """Keep this child's model and states up to date, and say that it lives.

    Three threads: a registry or a lake that does not answer holds up neither the other nor the heartbeat.
    """

    def follow() -> None:
        if predictor.follow():
            log.info("model.swapped", version=predictor.serving.version if predictor.serving else None)
            report()
            memory.give_back()  # what loading it took

    def report() -> None:
        if predictor.serving is not None:
            heartbeat.renew(settings.heartbeat_dir, heartbeat.MODEL)
        _say_alive(predictor)

    every = settings.model_poll_seconds
    works = (
        ("follow-model", follow, every),
        ("refresh-states", predictor.refresh_states, every),
        ("report", report, min(every, _SIGN_OF_LIFE)),
    )
    for work in works:
        threading.Thread(target=_repeat, args=(*work, ended), name=work[0], daemon=True).start()


def _repeat(name: str, work: Callable[[], object], seconds: float, ended: threading.Event) -> None:
    while True:
        try:
            work()
        except Exception as error:
            log.warning("model.not_refreshed", work=name, error=str(error))
        if ended.wait(seconds):
            return


def _name() -> str:
    return f"{os.uname().nodename}/{os.getpid()}"


def _say_alive(predictor: Predictor) -> None:
    from redis import RedisError

    from serving.api.dispatch.result_store import WORKERS

    serving = predictor.serving
    name = _name()
    document: dict[str, Any] = {
        "name": name,
        "pid": os.getpid(),
        "seen_at": iso(datetime.now(UTC)),
        "model_version": None,
        "error": predictor.error,
    }
    if serving is not None:
        version = serving.model.version
        document |= {
            "model_version": serving.version,
            "loaded_at": iso(serving.loaded_at),
            "created_at": iso(version.created_at),
            "trained_through": iso(version.trained_through),
            "features": list(serving.model.features),
            "tags": dict(version.tags),
            "name_of_model": version.name,
        }
    try:
        execution.results().hset(WORKERS, name, orjson.dumps(document))
    except (RedisError, OSError) as error:
        log.warning("worker.heartbeat_lost", error=str(error))


def main() -> None:
    """Start a worker with the pool that survives a crashing model."""
    app.worker_main(
        [
            "worker",
            "--pool",
            "prefork",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "-n",
            f"ml-{os.getpid()}@%h",
        ]
    )
