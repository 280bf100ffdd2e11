"""Every Prometheus collector of Touchline, and the one way to expose them.

Process-side figures (requests, tasks, model) are ordinary collectors. With `PROMETHEUS_MULTIPROC_DIR` set before this
module is imported, several API processes and prefork workers write to that directory and every one of them exposes the
sum. Batch-side figures are read from the lake's documents when Prometheus scrapes: see `BatchCollector`.

Label values come from closed sets (the enums below, route templates, competitions of the lake): a caller never passes
user input as a label.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MutexValue, ValueClass

from features.errors import DamagedArtefact, NotPublished, StorageUnavailable

if TYPE_CHECKING:  # the worker counts without reading, and is spared pandas
    from features.io.store import Lake

CONTENT_TYPE = CONTENT_TYPE_LATEST

# The service objectives (50 and 200 ms) are bucket bounds, so that a share below them is exact.
_LATENCY = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30)
_STAGE = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)

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
    CALLER_GONE = "caller_gone"
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
SWAPS = Counter(
    "touchline_model_swaps",
    "Attempts to load a model version. A registry that is away fails at each look.",
    ["result"],
    registry=PROCESS_REGISTRY,
)
SHED = Counter(
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
            found.register(_Forward(PROCESS_REGISTRY))
    else:
        found = CollectorRegistry()
        MultiProcessCollector(found)  # type: ignore[no-untyped-call]
    for other in others:
        found.register(other)
    return found


def exposition(found: CollectorRegistry) -> bytes:
    """The registry in Prometheus' text format; its media type is `CONTENT_TYPE`."""
    return generate_latest(found)


class _Forward(Collector):
    """Collectors of another registry."""

    def __init__(self, source: CollectorRegistry) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        return self._source.collect()

    def describe(self) -> Iterable[Metric]:
        return []


class BatchCollector(Collector):
    """Figures of the batch side, read from the lake's documents at most once in `cache_seconds`.

    A document that is not there yet exports nothing; one that cannot be read exports
    `touchline_report_readable{report} 0` and leaves the others alone, as does storage that is away.
    """

    def __init__(self, lake: Lake, cache_seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before a scrape, and registering must not read the lake."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Metric families of all documents."""
        if self._clock() - self._read_at >= self._cache_seconds:
            self._families = list(self._read())
            self._read_at = self._clock()
        return self._families

    def _read(self) -> Iterator[Metric]:
        """Figures of every report; storage that is away is asked once, since each answer that fails takes seconds."""
        readable = GaugeMetricFamily(
            "touchline_report_readable", "1 if the report in the lake can be read.", labels=["report"]
        )
        away = False
        for report, families in self._reports().items():
            try:
                found = [] if away else list(families())
            except NotPublished:
                continue
            except StorageUnavailable:
                away = True
            except (DamagedArtefact, KeyError, TypeError, ValueError, AttributeError):
                readable.add_metric([report], 0)
                continue
            readable.add_metric([report], float(not away))
            yield from () if away else found
        yield readable

    def _reports(self) -> dict[str, Callable[[], Iterator[Metric]]]:
        drift, read = cache(self._latest_drift), self._lake.read_json
        return {
            "freshness": lambda: _freshness(read("reports/freshness.json")),
            "performance": lambda: _performance(read("reports/performance.json")),
            "drift": lambda: _drift(read(f"{drift()}/summary.json")),
            "review": lambda: _review(self._of_report(f"{drift()}/summary.json"), read(f"{drift()}/review.json")),
            "gate": lambda: _gate(read("reports/gate.json")),
            "promotions": lambda: _promotions(read("reports/promotions.json")),
        }

    def _of_report(self, path: str) -> str | None:
        """What a review of the report as it is now refers to; None where it cannot be read: then no review counts."""
        try:
            return str(self._lake.read_json(path)["digest"])
        except (NotPublished, DamagedArtefact, KeyError, TypeError):
            return None

    def _latest_drift(self) -> str:
        summaries = [name for name in self._lake.list("reports/drift") if name.endswith("/summary.json")]
        return f"reports/drift/{max(summaries, default='none').removesuffix('/summary.json')}"


Rows = Iterable[tuple[tuple[str, ...], float | None]]


def _gauge(name: str, documentation: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for values, value in rows:
        if value is not None:
            family.add_metric(values, value)
    return family


def _moment(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def _freshness(document: dict[str, Any]) -> Iterator[Metric]:
    written = _moment(document["written_at"])
    yield _gauge("touchline_pipeline_run_timestamp_seconds", "When the pipeline last finished.", (), [((), written)])
    as_of = _moment(document["as_of"])
    yield _gauge("touchline_pipeline_as_of_timestamp_seconds", "The moment the pipeline stands at.", (), [((), as_of)])
    forecasts = document["forecasts"]
    yield _gauge("touchline_forecasts_published", "Forecasts in the lake.", (), [((), forecasts["published"])])
    yield _gauge("touchline_forecasts_settled", "Forecasts scored.", (), [((), forecasts["settled"])])
    published = _moment(forecasts["last_published_at"])
    help_text = "Publication time of the newest forecast."
    yield _gauge("touchline_forecast_published_timestamp_seconds", help_text, (), [((), published)])
    for key, name, help_text in (
        ("results", "touchline_results_matches", "Results in the lake."),
        ("fixtures", "touchline_fixtures_matches", "Fixtures in the lake."),
        ("overdue", "touchline_overdue_results_matches", "Matches that should be over for a day and have no result."),
        ("without_forecast", "touchline_unforecast_fixtures_matches", "Fixtures of the next days without a forecast."),
        ("stale", "touchline_stale_forecasts_matches", "Fixtures of the next days whose forecast is out of date."),
        ("unlisted", "touchline_unlisted_matches", "Matches that the running season lacks, while none is to come."),
        ("quarantined", "touchline_quarantined_rows", "Rows of the source that were put aside."),
    ):
        rows = [((slug,), one[key]) for slug, one in document["competitions"].items()]
        yield _gauge(name, help_text, ("competition",), rows)
    last = [((slug,), _moment(one["last_result"])) for slug, one in document["competitions"].items()]
    yield _gauge("touchline_result_timestamp_seconds", "Kick-off of the newest result.", ("competition",), last)


def _performance(document: dict[str, Any]) -> Iterator[Metric]:
    # Versions are unbounded over the years, so the figures by version stay in the document.
    groups = [group for group in document["groups"] if group["model_version"] == "all"]
    where = ("competition", "window")
    places = [((group["competition"], group["window"]), group) for group in groups]
    counts = [(place, group["matches"]) for place, group in places]
    yield _gauge("touchline_scored_matches", "Settled matches behind the scores.", where, counts)
    scores = [
        ((*place, forecaster, score), value)
        for place, group in places
        for forecaster, summary in group["scores"].items()
        for score, value in (summary or {}).items()
    ]
    yield _gauge("touchline_score_mean", "Mean score.", (*where, "forecaster", "score"), scores)
    skill = [((*place, name), one["skill"]) for place, group in places for name, one in group["against"].items()]
    help_text = "1 - RPS of the model / RPS of the reference."
    yield _gauge("touchline_skill_ratio", help_text, (*where, "reference"), skill)
    differences = [
        ((*place, name, bound), one[bound])
        for place, group in places
        for name, one in group["against"].items()
        for bound in ("mean", "low", "high")
    ]
    help_text = "Paired RPS difference model - reference with its 95 % interval; below zero the model is better."
    yield _gauge("touchline_rps_difference", help_text, (*where, "reference", "bound"), differences)
    for key, name, help_text in (
        ("error", "touchline_calibration_error_ratio", "Expected calibration error."),
        ("limit", "touchline_calibration_limit_ratio", "Calibration error that a perfect model exceeds 1 time in 20."),
    ):
        yield _gauge(name, help_text, where, [(place, group["calibration"][key]) for place, group in places])


def _drift(document: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge("touchline_drift_share_ratio", "Share of drifted columns.", (), [((), document["share"])])
    yield _gauge("touchline_drift_window_matches", "Matches in the window.", (), [((), document["matches"])])
    week = _moment(f"{document['week']}T00:00:00+00:00")
    yield _gauge("touchline_drift_week_timestamp_seconds", "Monday of the newest drift report.", (), [((), week)])
    states = [((state,), float(state == document["state"])) for state in ("stable", "drift", "too_few_matches")]
    yield _gauge("touchline_drift_state", "1 for the verdict of the newest drift report.", ("state",), states)
    drifted = [((one["column"],), float(one["drifted"])) for one in document["columns"]]
    yield _gauge("touchline_drift_column_drifted", "1 where the column drifted.", ("column",), drifted)
    p_values = [((one["column"],), one["p_value"]) for one in document["columns"]]
    yield _gauge("touchline_drift_p_value_ratio", "p-value of the column's test.", ("column",), p_values)


def _review(report: str | None, document: dict[str, Any]) -> Iterator[Metric]:
    # A review of an earlier state of the report must not silence the alert on this one.
    at = _moment(document["at"]) if document["report"] == report else None
    yield _gauge(
        "touchline_drift_review_timestamp_seconds", "When the newest drift report was reviewed.", (), [((), at)]
    )


def _gate(document: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge("touchline_gate_open", "1 if the candidate may be promoted.", (), [((), float(document["open"]))])
    conditions = [((one["name"],), float(one["open"])) for one in document["conditions"]]
    yield _gauge("touchline_gate_condition_open", "1 if the condition holds.", ("condition",), conditions)
    bearers = {"staging": "candidate", "production": "production", "previous": "previous"}
    aliases = [((alias,), document.get(field)) for alias, field in bearers.items()]
    yield _gauge("touchline_alias_version", "Registry version that bears the alias.", ("alias",), aliases)
    waiting = _moment(document["waiting_since"])
    help_text = "Since when only a person's approval is missing."
    yield _gauge("touchline_promotion_waiting_timestamp_seconds", help_text, (), [((), waiting)])


def _promotions(document: dict[str, Any]) -> Iterator[Metric]:
    history = document["promotions"]
    actions = sorted({one["action"] for one in history})
    counts = [((action,), float(sum(one["action"] == action for one in history))) for action in actions]
    yield _gauge("touchline_promotions", "Times that production changed.", ("action",), counts)
    last = max((_moment(one["at"]) or 0.0 for one in history), default=None)
    yield _gauge("touchline_promotion_timestamp_seconds", "When production last changed.", (), [((), last)])
