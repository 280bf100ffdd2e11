"""Liveness, readiness and metrics."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from itertools import islice

from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from features.errors import TouchlineError
from features.io.registry import MODEL_NAME
from monitoring import metrics
from serving.api.catalogue.catalogue import Catalogue
from serving.api.dependencies import CatalogueDep, DispatcherDep, DrainStateDep, MetricsDep
from serving.api.dispatch.dispatcher import Dispatcher
from serving.api.routes.slash_router import SlashRouter
from serving.api.schemas.operations import Alive, Part, Readiness
from serving.api.serializers import clock_info
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
    dispatcher: DispatcherDep, catalogue: CatalogueDep, draining: DrainStateDep, response: Response
) -> Readiness:
    """Readiness: whether predictions can be answered. Checks broker, result store, workers, model and lake."""
    await dispatcher.poll_broker()
    parts = {
        "broker": Part(ok=dispatcher.broker_error is None, detail=dispatcher.broker_error or "accepts tasks"),
        "results": await _check(dispatcher.results.ping(), "reachable"),
        "workers": Part(
            ok=not dispatcher.no_workers, detail="no worker is running" if dispatcher.no_workers else "alive"
        ),
        "model": await _check_model(dispatcher),
        "lake": _check_lake(catalogue),
    }
    if draining.active:
        parts["process"] = Part(ok=False, detail="draining: this process ends soon")
    is_ready = all(part.ok for part in parts.values())
    if not is_ready:
        response.status_code = 503
        response.headers["retry-after"] = "2"
    return Readiness(status="ready" if is_ready else "unready", parts=parts, **clock_info(catalogue))


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def prometheus(dispatcher: DispatcherDep, collectors: MetricsDep) -> Response:
    """Metrics for Prometheus. Values that are unknown because a dependency is down are NaN."""
    await dispatcher.poll_broker()
    messages_by_queue: dict[str, float] = {queue.name: queue.messages for queue in dispatcher.queues}
    for name, messages in (messages_by_queue or {QUEUE: math.nan, DEAD_LETTERS: math.nan}).items():
        metrics.QUEUE_LENGTH.labels(name).set(messages)
    try:
        workers = await dispatcher.results.workers()
    except TouchlineError:
        metrics.ACTIVE_WORKERS.labels(QUEUE).set(math.nan)
        metrics.observe_unknown_model(MODEL_NAME)
    else:
        metrics.ACTIVE_WORKERS.labels(QUEUE).set(len(workers))
        versions = [worker.model_version for worker in workers if worker.model_version is not None]
        if versions:
            metrics.observe_model(MODEL_NAME, max(versions))
        else:
            metrics.observe_no_model(MODEL_NAME)
    content = await run_in_threadpool(metrics.exposition, collectors)
    return Response(content, media_type=metrics.CONTENT_TYPE)


async def _check(call: Awaitable[None], detail: str) -> Part:
    try:
        await call
    except TouchlineError as error:
        return Part(ok=False, detail=str(error))
    return Part(ok=True, detail=detail)


async def _check_model(dispatcher: Dispatcher) -> Part:
    try:
        workers = await dispatcher.results.workers()
    except TouchlineError as error:
        return Part(ok=False, detail=str(error))
    versions = sorted({worker.model_version for worker in workers if worker.model_version is not None})
    if versions:
        return Part(ok=True, detail=f"version {', '.join(map(str, versions))} in {len(workers)} worker processes")
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
