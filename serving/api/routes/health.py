"""Liveness, readiness, metrics."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from itertools import islice
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from features.errors import TouchlineError
from features.io.registry import MODEL_NAME
from monitoring import metrics
from serving.api.dependencies import CatalogueDep, DeskDep
from serving.api.dispatch.dispatcher import Desk
from serving.api.responses import OrjsonResponse
from serving.api.schemas.operations import Alive, Readiness
from serving.api.serializers import clock_info
from serving.settings import DEAD_LETTERS, QUEUE

router = APIRouter(tags=["health"])
_UNKNOWN_QUEUES = [(QUEUE, math.nan), (DEAD_LETTERS, math.nan)]
_TOLD = 5
"""Damaged tables that readiness names; a lake that is gone has hundreds."""


@router.get("/healthcheck/", response_model=Alive)
@router.get("/healthcheck", include_in_schema=False)
async def alive() -> Any:
    """The process answers; touches nothing else."""
    return OrjsonResponse({"status": "ok"})


@router.get(
    "/healthcheck/ready",
    response_model=Readiness,
    responses={
        503: {"model": Readiness, "description": "A part is missing, and `parts` says which; or see `Problem`."}
    },
)
@router.get("/healthcheck/ready/", include_in_schema=False)
async def ready(desk: DeskDep, catalogue: CatalogueDep) -> Any:
    """Whether predictions can be answered now: broker, result backend, model, clubs."""
    await desk.look()
    parts = {
        "broker": {"ok": desk.broker_error is None, "detail": desk.broker_error or "takes tasks"},
        "results": await _part(desk.results.ping(), "answers"),
        "workers": {"ok": not desk.workerless, "detail": "none takes tasks" if desk.workerless else "take tasks"},
        "model": await _model(desk),
    }
    clubs = sum(map(len, catalogue.snapshot.clubs.values()))
    parts["lake"] = {"ok": clubs > 0, "detail": f"{clubs} clubs, {len(catalogue.forecasts)} published forecasts"}
    damaged = catalogue.unreadable_tables
    for name, damage in islice(damaged.items(), _TOLD):
        parts["lake"]["detail"] += f"; {name}: {damage}"
    if len(damaged) > _TOLD:
        parts["lake"]["detail"] += f"; and {len(damaged) - _TOLD} more"
    good = all(part["ok"] for part in parts.values())
    return OrjsonResponse(
        {"status": "ready" if good else "unready", "parts": parts, **clock_info(catalogue)},
        200 if good else 503,
        {} if good else {"retry-after": "2"},
    )


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
@router.get("/metrics/", include_in_schema=False, response_class=Response)
async def prometheus(request: Request, desk: DeskDep) -> Response:
    """Figures for Prometheus. What cannot be told now, because a part of the service is away, is NaN."""
    await desk.look()
    for name, messages in [(one.name, one.messages) for one in desk.depths] or _UNKNOWN_QUEUES:
        metrics.QUEUE_LENGTH.labels(name).set(messages)
    try:
        workers = await desk.results.workers()
    except TouchlineError:
        metrics.ACTIVE_WORKERS.labels(QUEUE).set(math.nan)
        metrics.observe_unknown_model(MODEL_NAME)
    else:
        metrics.ACTIVE_WORKERS.labels(QUEUE).set(len(workers))
        versions = [one["model_version"] for one in workers if one["model_version"] is not None]
        if versions:
            metrics.observe_model(MODEL_NAME, max(versions))
        else:
            metrics.observe_no_model(MODEL_NAME)
    content = await run_in_threadpool(metrics.exposition, request.app.state.metrics)
    return Response(content, media_type=metrics.CONTENT_TYPE)


async def _part(check: Awaitable[None], good: str) -> dict[str, Any]:
    try:
        await check
    except TouchlineError as error:
        return {"ok": False, "detail": str(error)}
    return {"ok": True, "detail": good}


async def _model(desk: Desk) -> dict[str, Any]:
    try:
        workers = await desk.results.workers()
    except TouchlineError as error:
        return {"ok": False, "detail": str(error)}
    loaded = sorted({one["model_version"] for one in workers if one["model_version"] is not None})
    if loaded:
        return {"ok": True, "detail": f"version {', '.join(map(str, loaded))} in {len(workers)} worker processes"}
    why = next((one["error"] for one in workers if one["error"]), None)
    return {"ok": False, "detail": why or ("still loading" if workers else "no worker is alive")}
