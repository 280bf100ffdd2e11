"""Prometheus collectors of the API and worker processes, and their exposition.

If `PROMETHEUS_MULTIPROC_DIR` is set before this module is imported, all API processes and prefork workers write to that
directory, and each of them exposes the sum. Metrics of the batch pipeline are read from the lake's reports on every
scrape: see `monitoring.exporter`.

Label values come from closed sets (the enums below, route templates, competitions of the lake), never from user input.
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
    values,
)
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MutexValue, ValueClass

from monitoring.metric_files import ReservedValues

values.MmapedDict = ReservedValues  # type: ignore[attr-defined]  # before the first collector opens a file
CONTENT_TYPE = CONTENT_TYPE_LATEST

# The service objectives (50 and 200 ms) are bucket bounds, so the share of requests below them is exact.
_LATENCY = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30)
_STAGE = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 4000, 8000)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Mode(StrEnum):
    """How a prediction was requested."""

    SYNC = "sync"
    ASYNC = "async"
    BATCH = "batch"


class Stage(StrEnum):
    """Stages of a prediction."""

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
"""Collectors of this process only; expose `registry()` instead."""

REQUESTS = Counter(
    "touchline_requests",
    "HTTP requests, by route template and status.",
    ["method", "route", "status"],
    registry=PROCESS_REGISTRY,
)
REQUEST_DURATION = Histogram(
    "touchline_request_duration_seconds",
    "Time from the arrival of a request to its response.",
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
# Gauges that several processes set: the latest observation wins. Each has a label, so that a process which never sets
# it exports nothing instead of zero. An unknown value is NaN. Comparisons with NaN are false, so alerts
# on the workers do not fire while the broker is unavailable.
QUEUE_LENGTH = Gauge(
    "touchline_queue_length",
    "Tasks waiting in the queue.",
    ["queue"],
    multiprocess_mode="mostrecent",
    registry=PROCESS_REGISTRY,
)
ACTIVE_WORKERS = Gauge(
    "touchline_active_workers",
    "Workers that are alive and consume the queue.",
    ["queue"],
    multiprocess_mode="mostrecent",
    registry=PROCESS_REGISTRY,
)
MODEL_LOADED = Gauge(
    "touchline_model_loaded",
    "1 if the workers have a model in memory.",
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
UNREADABLE_TABLES = Gauge(
    "touchline_unreadable_tables",
    "Parts of a table of the lake (weeks, competitions) that the API could not read; it uses their last good versions.",
    ["table"],
    multiprocess_mode="mostrecent",
    registry=PROCESS_REGISTRY,
)
CLOCK_SKEW = Gauge(
    "touchline_clock_skew_seconds",
    "Largest difference of a process's clock from the result store's, by kind of process; positive if it is ahead.",
    ["process"],
    multiprocess_mode="mostrecent",
    registry=PROCESS_REGISTRY,
)
STAGE_DURATION = Histogram(
    "touchline_stage_duration_seconds",
    "Time of a prediction in the queue, computing features, and in the model.",
    ["stage"],
    buckets=_STAGE,
    registry=PROCESS_REGISTRY,
)
MATCHES_PER_CALL = Histogram(
    "touchline_batch_size_matches", "Matches per model call.", buckets=_BATCH, registry=PROCESS_REGISTRY
)
TIMEOUTS = Counter("touchline_timeouts", "Prediction requests that timed out.", ["route"], registry=PROCESS_REGISTRY)
MODEL_RELOADS = Counter(
    "touchline_model_reloads",
    "Attempts to load a model version, by result; each poll of an unavailable registry counts as a failure.",
    ["result"],
    registry=PROCESS_REGISTRY,
)
REFUSED_MESSAGES = Counter(
    "touchline_refused_messages",
    "Messages on the queue that no worker can run, by what is wrong with them.",
    ["kind"],
    registry=PROCESS_REGISTRY,
)
INVALID_RESULTS = Counter(
    "touchline_invalid_results",
    "Documents in the result store that are no results of ours, by kind of document.",
    ["kind"],
    registry=PROCESS_REGISTRY,
)
SHED_REQUESTS = Counter(
    "touchline_shed_requests", "Requests rejected because the queue was too long.", ["route"], registry=PROCESS_REGISTRY
)


def observe_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count a request and its duration.

    Parameters
    ----------
    method : HTTP method; a non-standard one is counted as `other`.
    route : template of the route such as `/predict/{match_id}`, never the path; None if no route matched.
    status : HTTP status of the response.
    seconds : time from the arrival of the request to the response.
    """
    method_label = method if method in _METHODS else "other"
    template = route or "unmatched"
    REQUESTS.labels(method_label, template, str(status)).inc()
    REQUEST_DURATION.labels(method_label, template).observe(seconds)


def observe_model(model: str, version: int) -> None:
    """Record the version that the workers have in memory."""
    MODEL_LOADED.labels(model).set(1)
    MODEL_VERSION.labels(model).set(version)


def observe_clock_skew(process: str, skews_seconds: Iterable[float]) -> None:
    """Record the largest clock skew of the processes of a kind, `api` or `worker`; 0 if there is none."""
    CLOCK_SKEW.labels(process).set(max(skews_seconds, key=abs, default=0.0))


def observe_no_model(model: str) -> None:
    """Record that no model is in memory."""
    MODEL_LOADED.labels(model).set(0)


def observe_unknown_model(model: str) -> None:
    """Record that it is unknown whether a model is in memory."""
    for gauge in (MODEL_LOADED, MODEL_VERSION):
        gauge.labels(model).set(math.nan)


def registry(*others: Collector) -> CollectorRegistry:
    """Build the registry that /metrics exposes; call it once per process.

    Parameters
    ----------
    others : further collectors.

    Returns
    -------
    This process's collectors, or in multiprocess mode their sum over all processes, which is read on every scrape.
    """
    # The creation times would double the number of series, and no query uses them.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types there
    # The library decides at import, from the environment, where values are stored; follow its decision.
    if ValueClass is MutexValue:
        exposed = PROCESS_REGISTRY if not others else CollectorRegistry()
        if others:
            exposed.register(CollectorProxy(PROCESS_REGISTRY))
    else:
        exposed = CollectorRegistry()
        MultiProcessCollector(exposed)  # type: ignore[no-untyped-call]  # the library has no types there
    for other in others:
        exposed.register(other)
    return exposed


def exposition(exposed: CollectorRegistry) -> bytes:
    """Render a registry in Prometheus' text format; the media type is `CONTENT_TYPE`."""
    return generate_latest(exposed)


class CollectorProxy(Collector):
    """Exposes the collectors of another registry."""

    def __init__(self, source: CollectorRegistry) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        return self._source.collect()

    def describe(self) -> Iterable[Metric]:
        return []
