"""What a worker's child does with a batch of tasks: forecast all of them at once, store all results at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from redis import Redis, RedisError

from features.errors import TouchlineError
from serving.errors import from_task, kind_of, to_task
from serving.settings import ServingSettings
from serving.telemetry import tracing
from serving.wire import forecast_json
from serving.wire.columns import Fixture, Forecasts, Slate, joined, parted, slate

if TYPE_CHECKING:
    from serving.worker.predictor import Prediction, Predictor

_FORMAT = 3
"""Of slates and forecasts. Tasks of another one have other names: a worker refuses those that it cannot read, and while
an upgrade replaces one process after another, the API sends them again until one of its own version takes them."""
PREDICT = "serving.predict"
PREDICT_TOGETHER, PREDICT_BATCH = f"serving.predict_together.{_FORMAT}", f"serving.predict_batch.{_FORMAT}"
_MODES = {PREDICT: "async", PREDICT_TOGETHER: "sync", PREDICT_BATCH: "batch"}
_STORE_PATIENCE = 60.0
_STORE_AND_TELL = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then
    redis.call('PUBLISH', KEYS[1], ARGV[1])
else
    redis.call('PUBLISH', KEYS[1], redis.call('GET', KEYS[1]))
end
"""
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Call:
    """One task on its way to a child."""

    task_id: str
    task: str
    args: list[Any]
    request_ids: tuple[str, ...] = ()
    traceparents: tuple[str, ...] = ()
    sent_at: float | None = None
    track: bool = False
    received_at: float = 0.0


@dataclass(frozen=True)
class Report:
    """What the main process learns of a batch: it keeps the worker's metrics."""

    matches: int
    outcomes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    """By kind, of tasks that no caller waits for; the API itself counts those that it answers with an error."""
    queue_seconds: tuple[float, ...] = ()
    features_seconds: float = 0.0
    model_seconds: float = 0.0
    version: int | None = None
    swaps: Mapping[str, int] = field(default_factory=dict)


@cache
def settings() -> ServingSettings:
    """Built once in each child."""
    return ServingSettings()


@cache
def results() -> Redis:
    """The child's connection to the result backend."""
    return Redis.from_url(settings().results_url, socket_timeout=5, socket_connect_timeout=5, health_check_interval=30)


@cache
def predictor() -> Predictor:
    """The child's predictor; the libraries behind it are imported here and not before."""
    from features.io.registry import Registry
    from features.io.store import Lake
    from serving.worker.predictor import Predictor

    return Predictor(Registry(settings().mlflow_tracking_uri), Lake(settings().lake_root))


def preload() -> None:
    """Import the libraries behind the predictor."""
    import serving.worker.predictor  # noqa: F401 - with all that it imports
    from features.io.registry import Registry

    Registry.preload()


_first = threading.Lock()


def the_predictor() -> Predictor:
    """`predictor()`, safe where the child's first task and its warming-up thread ask together."""
    with _first:
        return predictor()


def run(calls: list[Call]) -> Report:
    """Answer tasks: in a child, as one call of the pool."""
    started = time.time()
    from serving.api.dispatch.result_store import accepted_key

    tracked = [call for call in calls if call.track]
    if tracked:
        _persist(lambda pipe: [pipe.set(accepted_key(c.task_id), "started", xx=True, keepttl=True) for c in tracked])
    with tracing.task_spans(calls) as mark:
        answers, prediction = _answers(calls)
        mark(answers)
    done = list(zip(calls, answers, strict=True))
    _store({call.task_id: _result(call, answer) for call, answer in done})
    log.info("tasks.answered", tasks=len(calls), request_ids=[one for call in calls for one in call.request_ids])
    waits = tuple(max(0.0, started - call.sent_at) for call in calls if call.sent_at)
    outcomes: Counter[tuple[str, str]] = Counter()
    for call, answer in done:
        if not isinstance(answer, Exception):
            outcomes.update({(_MODES[call.task], one): count for one, count in _outcomes(answer).items()})
    return Report(
        matches=sum(matches(call.task, call.args) for call in calls),
        outcomes=outcomes,
        errors=Counter(str(kind_of(answer)) for call, answer in done if call.track and isinstance(answer, Exception)),
        queue_seconds=waits,
        features_seconds=prediction.features_seconds if prediction else 0.0,
        model_seconds=prediction.model_seconds if prediction else 0.0,
        version=prediction.version if prediction else None,
        swaps=the_predictor().take_swaps(),
    )


def matches(task: str, args: Any) -> int:
    """How many matches a task asks for, as far as its arguments can be read."""
    document = args[0] if task != PREDICT and args else None
    return int(document["matches"]) if isinstance(document, dict) and "matches" in document else 1


def _outcomes(forecasts: Forecasts) -> Counter[str]:
    """How often each outcome was predicted."""
    kinds = Counter(forecasts["kind"])
    kinds.subtract(forecasts["kind"][place] for place, _ in forecasts["errors"])
    found: Counter[str] = Counter()
    for kind, count in kinds.items():
        found[forecasts["kinds"][kind][0]] += count
    return found


def _answers(calls: list[Call]) -> tuple[list[Forecasts | Exception], Prediction | None]:
    """One answer per task: columns, or an exception, which also stands for the only match of a task."""
    try:
        slates = [_slate(call) for call in calls]
        prediction = the_predictor().predict(joined(slates))
    except TouchlineError as error:
        return [error] * len(calls), None
    except Exception as error:
        if len(calls) > 1:  # find out whose fault it is
            alone = [_answers([call]) for call in calls]
            return [one[0][0] for one in alone], next((one[1] for one in alone if one[1]), None)
        log.exception("task.crashed", task_id=calls[0].task_id, request_ids=calls[0].request_ids)
        return [error], None
    counts = [len(one) for one in slates]
    return [
        from_task(forecasts["errors"][0][1]) if call.task == PREDICT and forecasts["errors"] else forecasts
        for call, forecasts in zip(calls, parted(prediction.forecasts, counts), strict=True)
    ], prediction


def _slate(call: Call) -> Slate:
    return slate([Fixture.read(call.args[0])]) if call.task == PREDICT else Slate.read(call.args[0])


def _result(call: Call, answer: Forecasts | Exception) -> Any:
    """What is stored: the document for a caller who comes for it later, else the columns, or what went wrong."""
    if call.task != PREDICT or isinstance(answer, Exception):
        return answer
    return orjson.Fragment(forecast_json.document(Fixture.read(call.args[0]), forecast_json.Answers.read(answer)))


def _store(answers: Mapping[str, Any]) -> None:
    """Store results in Celery's format, each only if there is none yet, and announce the one that is stored."""
    from serving.api.dispatch.result_store import result_key

    now = datetime.now(UTC).isoformat()
    documents = {}
    for task_id, answer in answers.items():
        failed = isinstance(answer, Exception)
        documents[result_key(task_id)] = orjson.dumps(
            {
                "status": "FAILURE" if failed else "SUCCESS",
                "result": to_task(answer) if failed else answer,
                "traceback": None,
                "children": [],
                "date_done": now,
                "task_id": task_id,
            }
        )

    def commands(pipe: Any) -> None:
        for key, document in documents.items():
            pipe.eval(_STORE_AND_TELL, 1, key, document, settings().result_ttl_seconds)

    _persist(commands)


def _persist(commands: Any) -> None:
    """Run a pipeline against the result backend, waiting for it to come back if it is away."""
    deadline = time.monotonic() + _STORE_PATIENCE
    pause = 0.05
    while True:
        try:
            with results().pipeline(transaction=False) as pipe:
                commands(pipe)
                pipe.execute()
            return
        except (RedisError, OSError) as error:
            if time.monotonic() > deadline:
                raise
            log.warning("results.unavailable", error=str(error))
            time.sleep(pause)
            pause = min(pause * 2, 1.0)
