"""Every Prometheus collector of Touchline, and the one way to expose them.

Process-side figures (requests, tasks, model) are ordinary collectors. With `PROMETHEUS_MULTIPROC_DIR` set before this
module is imported, several API processes and prefork workers write to that directory and every one of them exposes the
sum. Batch-side figures are read from the lake's documents when Prometheus scrapes: see `monitoring.exporter`.

Label values come from closed sets (the enums below, route templates, competitions of the lake): a caller never passes
user input as a label.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MutexValue, ValueClass

CONTENT_TYPE = CONTENT_TYPE_LATEST

# The service objectives (50 and 200 ms) are bucket bounds, so that a share below them is exact.
_LATENCY = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30)
_STAGE = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 4000, 8000)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Mode(StrEnum):
    """How a prediction was asked for."""

    SYNC = "sync"
    ASYNC = "async"
    BATCH = "batch"


class Stage(StrEnum):
    """Where the time of a prediction goes."""

    QUEUE = "queue"
    FEATURES = "features"
    MODEL = "model"


class ErrorKind(StrEnum):
    """Why a request or a task failed."""

    INVALID_INPUT = "invalid_input"
    NOT_FOUND = "not_found"
    UNAUTHORISED = "unauthorised"
    TOO_LARGE = "too_large"
    SHED = "shed"
    TIMEOUT = "timeout"
    CLIENT_DISCONNECTED = "client_disconnected"
    BROKER_UNAVAILABLE = "broker_unavailable"
    NO_WORKER = "no_worker"
    MODEL_UNAVAILABLE = "model_unavailable"
    DAMAGED_ARTEFACT = "damaged_artefact"
    INTERNAL = "internal"


PROCESS_REGISTRY = CollectorRegistry()
"""Collectors of this process alone; expose `registry()` instead."""

REQUESTS = Counter(
    "touchline_requests",
    "HTTP requests answered, by route template and status.",
    ["method", "route", "status"],
    registry=PROCESS_REGISTRY,
)
REQUEST_DURATION = Histogram(
    "touchline_request_duration_seconds",
    "Time from a request's arrival to its answer.",
    ["method", "route"],
    buckets=_LATENCY,
    registry=PROCESS_REGISTRY,
)
ERRORS = Counter("touchline_errors", "Failed requests and tasks, by cause.", ["kind"], registry=PROCESS_REGISTRY)
PREDICTIONS = Counter(
    "touchline_predictions",
    "Matches predicted, by most likely outcome.",
    ["mode", "outcome"],
    registry=PROCESS_REGISTRY,
)
# Gauges that several processes set: the latest observation is the truth, whoever made it. They all have a label, so
# that a process which never observes them exports nothing rather than a zero. What cannot be observed now is NaN: no
# comparison holds for it, so no alert blames the workers for a broker that is away.
QUEUE_LENGTH = Gauge(
    "touchline_queue_length",
    "Tasks waiting in the queue.",
    ["queue"],
    multiprocess_mode="mostrecent",
    registry=PROCESS_REGISTRY,
)
ACTIVE_WORKERS = Gauge(
    "touchline_active_workers",
    "Workers alive and consuming the queue.",
    ["queue"],
    multiprocess_mode="mostrecent",
    registry=PROCESS_REGISTRY,
)
MODEL_LOADED = Gauge(
    "touchline_model_loaded",
    "1 when the workers have a model in memory.",
    ["model"],
    multiprocess_mode="mostrecent",
    registry=PROCESS_REGISTRY,
)
MODEL_VERSION = Gauge(
    "touchline_model_version",
    "Registry version of the model that the workers use.",
    ["model"],
    multiprocess_mode="mostrecent",
    registry=PROCESS_REGISTRY,
)
STAGE_DURATION = Histogram(
    "touchline_stage_duration_seconds",
    "Time of a prediction spent waiting in the queue, making features, and in the model.",
    ["stage"],
    buckets=_STAGE,
    registry=PROCESS_REGISTRY,
)
BATCH_SIZE = Histogram(
    "touchline_batch_size_matches", "Matches answered by one model call.", buckets=_BATCH, registry=PROCESS_REGISTRY
)
TIMEOUTS = Counter(
    "touchline_timeouts", "Requests whose answer did not come in time.", ["route"], registry=PROCESS_REGISTRY
)
MODEL_RELOADS = Counter(
    "touchline_model_reloads",
    "Attempts to load a model version. A registry that is away fails at each look.",
    ["result"],
    registry=PROCESS_REGISTRY,
)
SHED_REQUESTS = Counter(
    "touchline_shed_requests", "Requests refused because the queue is too deep.", ["route"], registry=PROCESS_REGISTRY
)


def observe_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count an answered request and its duration.

    Parameters
    ----------
    method : HTTP method; an invented one is counted as `other`.
    route : the route's template such as `/predict/{match_id}`, never the path; None where no route matched.
    status : HTTP status of the answer.
    seconds : time from arrival to answer.
    """
    known = method if method in _METHODS else "other"
    template = route or "unmatched"
    REQUESTS.labels(known, template, str(status)).inc()
    REQUEST_DURATION.labels(known, template).observe(seconds)


def observe_model(model: str, version: int) -> None:
    """Say which version the workers have in memory."""
    MODEL_LOADED.labels(model).set(1)
    MODEL_VERSION.labels(model).set(version)


def observe_no_model(model: str) -> None:
    """Say that there is no model in memory."""
    MODEL_LOADED.labels(model).set(0)


def observe_unknown_model(model: str) -> None:
    """Say that nobody can tell whether a model is in memory."""
    for gauge in (MODEL_LOADED, MODEL_VERSION):
        gauge.labels(model).set(math.nan)


def registry(*others: Collector) -> CollectorRegistry:
    """What /metrics exposes: this process's collectors, or the sum over all processes of the directory, and `others`.

    Build it once per process; it looks at the files anew on every scrape.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, for nothing that is asked here
    # The library decided at import, from the environment, where values live; this follows what it did.
    if ValueClass is MutexValue:
        found = PROCESS_REGISTRY if not others else CollectorRegistry()
        if others:
            found.register(CollectorProxy(PROCESS_REGISTRY))
    else:
        found = CollectorRegistry()
        MultiProcessCollector(found)  # type: ignore[no-untyped-call]  # the library has no types there
    for other in others:
        found.register(other)
    return found


def exposition(found: CollectorRegistry) -> bytes:
    """The registry in Prometheus' text format; its media type is `CONTENT_TYPE`."""
    return generate_latest(found)


class CollectorProxy(Collector):
    """Collectors of another registry."""

    def __init__(self, source: CollectorRegistry) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        return self._source.collect()

    def describe(self) -> Iterable[Metric]:
        return []
