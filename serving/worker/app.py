"""The Celery worker: `python -m serving.worker`."""

from __future__ import annotations

import os
import threading
from typing import Any

import kombu.utils.json
import orjson
from celery import Celery, signals
from kombu.entity import Exchange, Queue
from kombu.serialization import register

from serving.telemetry import memory, tracing
from serving.telemetry.logging import configure_logging
from serving.wire.queue import QUEUE, QUEUE_ARGUMENTS
from serving.worker import heartbeat
from serving.worker.background_refresh import deregister, start_refreshing
from serving.worker.dependencies import get_redis, get_settings, preload
from serving.worker.metrics import observe_batch, serve_metrics


def configuration() -> dict[str, Any]:
    """Celery's settings. Built when the app is first used, not on import."""
    settings = get_settings()
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
        "worker_consumer": "serving.worker.consumer:GracefulConsumer",
        "broker_transport_options": {"confirm_publish": True}
        if amqp
        else {**transport, "socket_timeout": 30, "visibility_timeout": settings.visibility_timeout_seconds},
        "touchline_batch_size": settings.worker_batch_size,
        "touchline_result_ttl_seconds": settings.result_ttl_seconds,
        "touchline_on_report": observe_batch,  # read by `serving.worker.batching.strategy`, like the batch size
    }


# kombu's own decoder takes four times as long for a batch, and deserialises types that our tasks do not use.
register("json", kombu.utils.json.dumps, orjson.loads, content_type="application/json", content_encoding="utf-8")
app = Celery("touchline", include=["serving.worker.tasks"])
app.add_defaults(configuration)
app.steps["worker"].add(heartbeat.ConnectedStep)


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    configure_logging(get_settings().log_level)


@signals.celeryd_init.connect
def _start_heartbeat(**_: Any) -> None:
    heartbeat.ConnectedStep.folder = get_settings().heartbeat_dir
    heartbeat.start(heartbeat.ConnectedStep.folder)


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


@signals.worker_process_init.connect
def _start_child(**_: Any) -> None:
    tracing.configure(get_settings().otlp_endpoint, "worker")
    threading.Thread(target=start_refreshing, daemon=True).start()


@signals.worker_process_shutdown.connect
def stop_child(**_: Any) -> None:
    """Remove the child from the worker registry and send its last spans."""
    deregister(get_redis())
    tracing.shutdown()


def main() -> None:
    """Start a worker with the process pool, which survives a crash of the model."""
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
