"""Liveness, readiness and metrics."""

from __future__ import annotations

import math
from itertools import islice

from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from features.errors import TouchlineError
from features.io.registry import MODEL_NAME
from monitoring import metrics
from serving.api.catalogue.catalogue import Catalogue
from serving.api.dependencies import CatalogueDep, DispatcherDep, DrainStateDep, KeysRequired, MetricsDep, Principal
from serving.api.dispatch.dispatcher import Dispatcher
from serving.api.dispatch.result_store import ResultStore
from serving.api.dispatch.worker_health import skew_notes
from serving.api.routes.slash_router import SlashRouter
from serving.api.schemas.operations import Alive, Part, Readiness
from serving.api.serializers import clock_info
from serving.errors import ResultsUnavailableError
from serving.wire.queue import DEAD_LETTERS, QUEUE

router = SlashRouter(tags=["health"])
MAX_TABLES_IN_DETAIL = 5
"""Unreadable tables that readiness names; if the whole lake is unreachable there are hundreds."""


@router.get("/healthcheck/")
async def alive() -> Alive:
    """Liveness: the process responds. Checks no dependency."""
    return Alive()


@router.get(
    "/healthcheck/ready",
    responses={503: {"model": Readiness, "description": "A dependency is down: see `parts`; or a `Problem`."}},
)
async def ready(
    dispatcher: DispatcherDep,
    catalogue: CatalogueDep,
    draining: DrainStateDep,
    response: Response,
    principal: Principal,
    keys_required: KeysRequired,
) -> Readiness:
    """Readiness: whether predictions can be answered. Checks broker, result store, workers, model and lake.

    If the API requires keys, only a caller with a key reads why a part is down: reasons contain internal addresses.
    """
    await dispatcher.refresh()
    parts = {
        "broker": Part(ok=dispatcher.broker_error is None, detail=dispatcher.broker_error or "accepts tasks"),
        "results": await _check_results(dispatcher.results),
        "workers": _check_workers(dispatcher),
        "model": await _check_model(dispatcher),
        "lake": _check_lake(catalogue),
    }
    if draining.active:
        parts["process"] = Part(ok=False, detail="draining: this process ends soon")
    if keys_required and principal is None:
        parts = {name: _without_reason(part) for name, part in parts.items()}
    is_ready = all(part.ok for part in parts.values())
    if not is_ready:
        response.status_code = 503
        response.headers["retry-after"] = "2"
    return Readiness(status="ready" if is_ready else "unready", parts=parts, **clock_info(catalogue))


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def prometheus(dispatcher: DispatcherDep, collectors: MetricsDep) -> Response:
    """Metrics for Prometheus. Values that are unknown because a dependency is down are NaN."""
    await dispatcher.refresh()
    messages_by_queue: dict[str, float] = {queue.name: queue.messages for queue in dispatcher.queues}
    for name, messages in (messages_by_queue or {QUEUE: math.nan, DEAD_LETTERS: math.nan}).items():
        metrics.QUEUE_LENGTH.labels(name).set(messages)
    try:
        workers = await dispatcher.results.workers()
    except TouchlineError:
        metrics.ACTIVE_WORKERS.labels(QUEUE).set(math.nan)
        metrics.observe_unknown_model(MODEL_NAME)
    else:
        metrics.ACTIVE_WORKERS.labels(QUEUE).set(0 if dispatcher.no_workers else len(workers))
        metrics.observe_clock_skew("api", [dispatcher.results.clock.skew_seconds])
        metrics.observe_clock_skew("worker", [consumer.clock_skew_seconds for consumer in dispatcher.consumers])
        versions = [worker.model_version for worker in workers if worker.model_version is not None]
        if versions:
            metrics.observe_model(MODEL_NAME, max(versions))
        else:
            metrics.observe_no_model(MODEL_NAME)
    content = await run_in_threadpool(metrics.exposition, collectors)
    return Response(content, media_type=metrics.CONTENT_TYPE)


def _without_reason(part: Part) -> Part:
    return Part(ok=part.ok, detail="ok" if part.ok else "not available; send an API key to read the reason")


async def _check_results(results: ResultStore) -> Part:
    try:
        await results.check()
    except TouchlineError as error:
        return Part(ok=False, detail=str(error))
    return Part(ok=True, detail="; ".join(filter(None, ["reachable", results.warning])))


def _check_workers(dispatcher: Dispatcher) -> Part:
    state = dispatcher.worker_problem or ("no worker is running" if dispatcher.no_workers else "alive")
    notes = skew_notes(dispatcher.consumers, dispatcher.results.clock.skew_seconds)
    return Part(ok=not dispatcher.no_workers, detail="; ".join([state, *notes]))


async def _check_model(dispatcher: Dispatcher) -> Part:
    try:
        if dispatcher.results.problem is not None:
            raise ResultsUnavailableError(dispatcher.results.problem)
        workers = await dispatcher.results.workers()
    except TouchlineError as error:
        return Part(ok=False, detail=str(error))
    versions = sorted({worker.model_version for worker in workers if worker.model_version is not None})
    if versions:
        state = f"version {', '.join(map(str, versions))} in {len(workers)} worker processes"
        return Part(ok=True, detail="; ".join([state, *sorted({worker.error for worker in workers if worker.error})]))
    reason = next((worker.error for worker in workers if worker.error), None)
    return Part(ok=False, detail=reason or ("still loading" if workers else "no worker is running"))


def _check_lake(catalogue: Catalogue) -> Part:
    clubs = sum(map(len, catalogue.snapshot.clubs.values()))
    details = [f"{clubs} clubs, {len(catalogue.forecasts)} published forecasts"]
    unreadable = catalogue.unreadable_tables
    details += [f"{name}: {reason}" for name, reason in islice(unreadable.items(), MAX_TABLES_IN_DETAIL)]
    if len(unreadable) > MAX_TABLES_IN_DETAIL:
        details.append(f"and {len(unreadable) - MAX_TABLES_IN_DETAIL} more")
    return Part(ok=clubs > 0, detail="; ".join(details))
