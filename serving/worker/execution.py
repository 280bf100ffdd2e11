"""Runs a batch of tasks in a child process: one model call, and one round trip to the result store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from redis import Redis, RedisError

from features.errors import TouchlineError
from monitoring.metrics import Mode
from serving.errors import MalformedMessageError, TaskFailedError, from_wire, kind_of
from serving.telemetry import tracing
from serving.wire.columns import FixtureBatch, ForecastBatch, concat, split
from serving.wire.fixtures import Fixture
from serving.wire.forecast_json import EncodedForecasts, encode_forecast
from serving.wire.results import STORE_FIRST_AND_ANNOUNCE, accepted_key, encode_result, result_key
from serving.wire.tasks import PREDICT_ASYNC
from serving.worker.dependencies import get_predictor, get_redis, get_settings, get_store_clock

if TYPE_CHECKING:
    from serving.worker.predictor import Prediction, Predictor

_MAX_STORE_OUTAGE_SECONDS = 60.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TaskInvocation:
    """One task, as the main process passes it to a child."""

    task_id: str
    task: str
    args: list[Any]
    mode: Mode = Mode.SYNC
    request_ids: tuple[str, ...] = ()
    traceparents: tuple[str, ...] = ()
    sent_at: float | None = None
    """Unix time, by the result store's clock, at which the API published the task."""
    track: bool = False
    """Whether clients may ask for the status of the task."""


@dataclass(frozen=True)
class BatchReport:
    """What a child reports about a batch to the main process, which keeps the worker's metrics."""

    matches: int
    outcomes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Predictions by (mode, predicted outcome)."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """Failed asynchronous tasks by kind. The API counts the errors of synchronous requests itself."""
    queue_seconds: tuple[float, ...] = ()
    features_seconds: float = 0.0
    model_seconds: float = 0.0
    version: int | None = None
    reloads: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    """Why the argument of a task cannot be read, by the task's position in the batch."""


def execute_batch_in_child(invocations: list[TaskInvocation]) -> BatchReport:
    """Run tasks in this child process. This is the function that the main process calls through the pool."""
    results = ResultWriter(get_redis(), get_settings().result_ttl_seconds)
    return execute_batch(invocations, get_predictor(), results)


def execute_batch(invocations: list[TaskInvocation], predictor: Predictor, results: ResultWriter) -> BatchReport:
    """Forecast the matches of all tasks at once and store all results at once."""
    started = get_store_clock().now()
    results.mark_started([invocation.task_id for invocation in invocations if invocation.track])
    with tracing.task_spans(invocations) as set_outcomes:
        outputs, prediction = _predict(invocations, predictor)
        set_outcomes(outputs)
    results.store(
        {
            invocation.task_id: _result(invocation, output)
            for invocation, output in zip(invocations, outputs, strict=True)
        }
    )
    request_ids = [request_id for invocation in invocations for request_id in invocation.request_ids]
    log.info("tasks.executed", tasks=len(invocations), request_ids=request_ids)
    outcomes: Counter[tuple[str, str]] = Counter()
    errors: Counter[str] = Counter()
    for invocation, output in zip(invocations, outputs, strict=True):
        if not isinstance(output, Exception):
            for outcome, count in _count_outcomes(output).items():
                outcomes[invocation.mode, outcome] += count
        elif invocation.track:
            errors[kind_of(output)] += 1
    return BatchReport(
        matches=sum(
            count_matches(invocation.task, invocation.args)
            for invocation, output in zip(invocations, outputs, strict=True)
            if not isinstance(output, MalformedMessageError)
        ),
        outcomes=outcomes,
        errors=errors,
        queue_seconds=tuple(max(0.0, started - task.sent_at) for task in invocations if task.sent_at),
        features_seconds=prediction.features_seconds if prediction else 0.0,
        model_seconds=prediction.model_seconds if prediction else 0.0,
        version=prediction.version if prediction else None,
        reloads=predictor.pop_reload_counts(),
        refused={
            index: str(output) for index, output in enumerate(outputs) if isinstance(output, MalformedMessageError)
        },
    )


def count_matches(task: str, args: Any) -> int:
    """How many matches a task has, by arguments that `serving.wire.received_messages` has checked."""
    return 1 if task == PREDICT_ASYNC else int(args[0]["matches"])


def _count_outcomes(forecasts: ForecastBatch) -> Counter[str]:
    matches_by_variant = Counter(forecasts["variant_index"])
    matches_by_variant.subtract(forecasts["variant_index"][index] for index, _ in forecasts["errors"])
    outcomes: Counter[str] = Counter()
    for variant, count in matches_by_variant.items():
        outcomes[forecasts["variants"][variant][0]] += count
    return outcomes


def _predict(
    invocations: list[TaskInvocation], predictor: Predictor
) -> tuple[list[ForecastBatch | Exception], Prediction | None]:
    """One output per task: its forecasts, or an exception."""
    batches = [_read_fixtures(invocation) for invocation in invocations]
    readable = [index for index, batch in enumerate(batches) if not isinstance(batch, Exception)]
    outputs: list[ForecastBatch | Exception] = [
        batch if isinstance(batch, Exception) else TaskFailedError("not run") for batch in batches
    ]
    if not readable:
        return outputs, None
    good = [batch for batch in batches if not isinstance(batch, Exception)]
    results, prediction = _predict_batches([invocations[index] for index in readable], good, predictor)
    for index, result in zip(readable, results, strict=True):
        outputs[index] = result
    return outputs, prediction


def _predict_batches(
    invocations: list[TaskInvocation], batches: list[FixtureBatch], predictor: Predictor
) -> tuple[list[ForecastBatch | Exception], Prediction | None]:
    """One output per task.

    A failed match of a PREDICT_ASYNC task is returned as an exception too, because the task has only that match.
    """
    try:
        prediction = predictor.predict(concat(batches))
    except TouchlineError as error:
        return [error] * len(invocations), None
    except Exception as error:
        if len(invocations) > 1:  # one by one, to find the task that failed
            attempts = [
                _predict_batches([invocation], [batch], predictor)
                for invocation, batch in zip(invocations, batches, strict=True)
            ]
            first = next((prediction for _, prediction in attempts if prediction), None)
            return [outputs[0] for outputs, _ in attempts], first
        task = invocations[0]
        log.exception("task.crashed", task_id=task.task_id, request_ids=task.request_ids)
        return [error], None
    parts = split(prediction.forecasts, [len(batch) for batch in batches])
    outputs: list[ForecastBatch | Exception] = [
        from_wire(part["errors"][0][1]) if invocation.task == PREDICT_ASYNC and part["errors"] else part
        for invocation, part in zip(invocations, parts, strict=True)
    ]
    return outputs, prediction


def _read_fixtures(invocation: TaskInvocation) -> FixtureBatch | MalformedMessageError:
    try:
        if invocation.task == PREDICT_ASYNC:
            return FixtureBatch.from_fixtures([Fixture.from_wire(invocation.args[0])])
        return FixtureBatch.from_wire(invocation.args[0])
    except MalformedMessageError as error:
        return error


def _result(invocation: TaskInvocation, output: ForecastBatch | Exception) -> Any:
    """The result to store: columns for the API, or for PREDICT_ASYNC the JSON that its client will fetch."""
    if invocation.task != PREDICT_ASYNC or isinstance(output, Exception):
        return output
    fixture = Fixture.from_wire(invocation.args[0])
    return orjson.Fragment(encode_forecast(fixture, EncodedForecasts.from_wire(output)))


class ResultWriter:
    """Writes to the result store, and waits while it is unavailable."""

    def __init__(self, client: Redis, ttl_seconds: int) -> None:
        self._client = client
        self._ttl_seconds = ttl_seconds

    def mark_started(self, task_ids: Sequence[str]) -> None:
        """Mark accepted tasks as started, also those of which the store knows nothing any more."""
        if task_ids:
            keys = [accepted_key(task_id) for task_id in task_ids]

            def write(pipe: Any) -> None:
                for key in keys:
                    pipe.set(key, "started", xx=True, keepttl=True)
                    pipe.set(key, "started", nx=True, ex=2 * self._ttl_seconds)  # the store has lost it

            self._write_with_retry(write)

    def store(self, results: Mapping[str, Any]) -> None:
        """Store results by task id and announce them. If a task already has a result, that one is announced instead."""
        documents = {result_key(task_id): encode_result(task_id, result) for task_id, result in results.items()}

        def write(pipe: Any) -> None:
            for key, document in documents.items():
                pipe.eval(STORE_FIRST_AND_ANNOUNCE, 1, key, document, self._ttl_seconds)

        self._write_with_retry(write)

    def _write_with_retry(self, write: Callable[[Any], object]) -> None:
        deadline = time.monotonic() + _MAX_STORE_OUTAGE_SECONDS
        delay_seconds = 0.05
        while True:
            try:
                with self._client.pipeline(transaction=False) as pipe:
                    write(pipe)
                    pipe.execute()
                return
            except (RedisError, OSError) as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("results.unavailable", error=str(error))
                time.sleep(delay_seconds)
                delay_seconds = min(delay_seconds * 2, 1.0)
