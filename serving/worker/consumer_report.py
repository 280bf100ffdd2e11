"""Reports what the main process does to the result store, and renews its liveness file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import structlog
from redis import Redis, RedisError

from serving.wire.consumer_status import CONSUMER_REGISTRY_KEY, ConsumerStatus, encode_consumer_status
from serving.wire.store_clock import StoreClock
from serving.worker.consumption import Consumption

INTERVAL_SECONDS = 2.0
log = structlog.get_logger(__name__)


def start_reporting(
    name: str, consumption: Consumption, clock: StoreClock, results: Callable[[], Redis], stop: threading.Event
) -> None:
    """Report every two seconds until `stop` is set, from a thread, since the event loop may be what is stuck."""

    def run() -> None:
        while not stop.is_set():
            try:
                report(name, consumption, clock, results())
            except (RedisError, OSError) as error:
                log.warning("consumer.status_not_published", error=str(error))
            stop.wait(INTERVAL_SECONDS)
        with suppress(RedisError, OSError):  # without this the entry expires a little later
            results().hdel(CONSUMER_REGISTRY_KEY, name)

    threading.Thread(target=run, name="consumer-report", daemon=True).start()


def report(name: str, consumption: Consumption, clock: StoreClock, results: Redis) -> None:
    """Write the status, by the time of the store."""
    synchronise(clock, results)
    status = ConsumerStatus(
        name=name,
        seen_at=clock.now(),
        is_consuming=consumption.is_consuming,
        held=consumption.held,
        stalled_seconds=consumption.stalled_seconds,
        is_ready=consumption.is_ready,
        broker_id=consumption.broker_id,
        clock_skew_seconds=clock.skew_seconds,
    )
    results.hset(CONSUMER_REGISTRY_KEY, name, encode_consumer_status(status))


def synchronise(clock: StoreClock, results: Redis) -> None:
    """Ask the result store for its time."""
    asked_at = clock.monotonic()
    seconds, microseconds = results.time()
    clock.synchronise((seconds, microseconds), asked_at, clock.monotonic())
