"""The Celery worker: `python -m serving.worker`."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import kombu.compression
import kombu.transport
import kombu.utils.json
import orjson
import structlog
from celery import Celery, signals
from kombu.entity import Exchange, Queue
from kombu.serialization import register
from redis import RedisError

from serving.errors import MalformedMessageError
from serving.sockets import CONNECT_SECONDS, WORKER_HEARTBEAT_SECONDS, kombu_encryption, kombu_options
from serving.telemetry import memory, tracing
from serving.telemetry.logging import configure_logging
from serving.wire.queue import QUEUE, QUEUE_ARGUMENTS
from serving.worker import heartbeat
from serving.worker.amqp_frames import tolerant_frame_handler
from serving.worker.background_refresh import deregister, start_refreshing
from serving.worker.consumer_report import start_reporting, synchronise
from serving.worker.dependencies import (
    get_consumption,
    get_redis,
    get_redis_of_main_process,
    get_settings,
    get_store_clock,
    preload,
)
from serving.worker.environment import remove_library_variables
from serving.worker.metrics import observe_batch, serve_metrics

log = structlog.get_logger(__name__)
BROKER_ANSWER_SECONDS = 5.0
"""Longest time that the event loop waits for an answer of the broker."""
_stopping = threading.Event()
_exit_codes: list[int] = []
"""How the worker ended. Celery's `worker_main` does not return it."""


def configuration() -> dict[str, Any]:
    """Celery's settings. Built when the app is first used, not on import."""
    settings = get_settings()
    broker, amqp = settings.broker, settings.broker.is_amqp
    exchange = Exchange(QUEUE, type="topic" if amqp else "direct")
    special = (
        {"frame_handler": tolerant_frame_handler}
        if amqp
        else {"visibility_timeout": settings.visibility_timeout_seconds, "health_check_interval": 5}
    )
    return {
        "broker_url": broker.url,
        "broker_use_ssl": kombu_encryption(broker),
        "broker_connection_timeout": CONNECT_SECONDS,
        "result_backend": "serving.worker.result_backend:ResultBackend",
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
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_heartbeat": WORKER_HEARTBEAT_SECONDS,
        "worker_consumer": "serving.worker.consumer:GracefulConsumer",
        "broker_channel_error_retry": True,  # a queue of the wrong type must not end the worker
        "broker_transport_options": kombu_options(broker, answer_seconds=BROKER_ANSWER_SECONDS) | special,
        "touchline_batch_size": settings.worker_batch_size,
        "touchline_result_ttl_seconds": settings.result_ttl_seconds,
        "touchline_on_report": observe_batch,  # read by `serving.worker.batching.strategy`, like the batch size
    }


def _refuse(_: bytes) -> bytes:
    raise MalformedMessageError("compressed messages are refused")


# kombu's own decoder takes four times as long for a batch, and deserialises types that our tasks do not use.
register("json", kombu.utils.json.dumps, orjson.loads, content_type="application/json", content_encoding="utf-8")
for (
    compression
) in kombu.compression.encoders():  # a few bytes could become gigabytes, and our messages are not compressed
    kombu.compression.register(kombu.compression.get_encoder(compression)[0], _refuse, compression)
kombu.transport.TRANSPORT_ALIASES["redis"] = "serving.worker.redis_transport:Transport"
app = Celery("touchline", include=["serving.worker.tasks"])
app.add_defaults(configuration)
app.steps["worker"].add(heartbeat.ConnectedStep)


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    configure_logging(get_settings().log_level)


@signals.celeryd_init.connect
def _start_heartbeat(**_: Any) -> None:
    heartbeat.ConnectedStep.folder = get_settings().heartbeat_dir
    consumption = get_consumption()
    heartbeat.ConnectedStep.is_ready = staticmethod(lambda: consumption.is_ready)
    heartbeat.start(heartbeat.ConnectedStep.folder, lambda: consumption.is_stuck)


@signals.worker_ready.connect
def _serve_metrics(**_: Any) -> None:
    port = get_settings().worker_metrics_port
    if port is not None:
        serve_metrics(port)


@signals.worker_init.connect
def _preload(**_: Any) -> None:
    """Import heavy modules before forking, so that replacement children start instantly."""
    preload()
    memory.use_system_allocator()
    memory.freeze_heap()
    with suppress(RedisError, OSError):  # if the store is away, its time is not known yet
        synchronise(get_store_clock(), get_redis_of_main_process())


@signals.worker_ready.connect
def _report_consumer(**_: Any) -> None:
    name = f"{os.uname().nodename}/{os.getpid()}"
    start_reporting(name, get_consumption(), get_store_clock(), get_redis_of_main_process, _stopping)


@signals.worker_shutdown.connect
def _stop_reporting(sender: Any, **_: Any) -> None:
    _stopping.set()
    _exit_codes.append(sender.exitcode or 0)


@signals.worker_process_init.connect
def _start_child(**_: Any) -> None:
    tracing.configure(get_settings().otlp_endpoint, "worker")
    threading.Thread(target=start_refreshing, daemon=True).start()


@signals.worker_process_shutdown.connect
def stop_child(**_: Any) -> None:
    """Remove the child from the worker registry and send its last spans."""
    deregister(get_redis())
    tracing.shutdown()


def main(ignored: Sequence[str] = ()) -> None:
    """Start a worker with the process pool, which survives a crash of the model.

    `ignored` are the environment variables that were removed before Celery was imported.
    """
    configure_logging(get_settings().log_level)
    for name in [*ignored, *remove_library_variables()]:
        log.warning("variable.ignored", name=name, reason="the settings TOUCHLINE_* decide, not Celery's variables")
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
    sys.exit(max(_exit_codes, default=1))
