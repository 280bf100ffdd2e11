"""Tasks, queues, workers, drift and performance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse

from features.errors import CorruptArtefactError, NotPublishedError, TouchlineError
from features.io import reports
from features.io.store import Lake
from serving.api.dependencies import DeskDep, LakeDep, RequestId, problems
from serving.api.dispatch.in_flight import answer_of
from serving.api.problem_details import to_problem
from serving.api.query_params import StrictRoute
from serving.api.responses import OrjsonResponse
from serving.api.schemas.forecasts import TaskStatus
from serving.api.schemas.operations import Queues, Workers
from serving.api.schemas.reports import DriftSummary, DriftWeeks, Performance
from serving.errors import BrokerUnavailable, UnknownTask
from serving.settings import QUEUE

router = APIRouter(prefix="/monitoring", tags=["monitoring"], route_class=StrictRoute)
Week = Annotated[str, Path(pattern=r"^\d{4}-\d{2}-\d{2}$", description="Monday of the week.", examples=["2026-03-09"])]
_TASK_ID = re.compile(r"[0-9a-f-]{36}")
TaskId = Annotated[str, Path(description="As answered when the task was accepted.")]


@router.get("/task_status/{task_id}", response_model=TaskStatus, responses=problems(401, 404, 422, 503))
@router.get("/task_status/{task_id}/", include_in_schema=False)
async def task_status(task_id: TaskId, desk: DeskDep, request_id: RequestId) -> Any:
    """How far an asynchronous task is: pending, started, success with its result, or failure with its error."""
    stored, accepted = await desk.results.status(task_id) if _TASK_ID.fullmatch(task_id) else (None, None)
    if accepted is None and stored is None:
        raise UnknownTask(f"task {task_id[:100]} was never accepted, or so long ago that it is forgotten")
    status: dict[str, Any] = {"task_id": task_id, "status": "pending", "result": None, "error": None}
    if stored is None:
        status["status"] = "started" if accepted == b"started" else "pending"
        return OrjsonResponse(status)
    try:
        status |= {"status": "success", "result": answer_of(orjson.loads(stored))}
    except TouchlineError as error:
        status |= {"status": "failure", "error": to_problem(error, request_id)[0].model_dump()}
    return OrjsonResponse(status)


@router.get("/celery/queues", response_model=Queues, responses=problems(401, 422, 503))
@router.get("/celery/queues/", include_in_schema=False)
async def queues(desk: DeskDep) -> Any:
    """Depth and consumers of each queue."""
    await desk.look()
    if desk.broker_error:
        raise BrokerUnavailable(desk.broker_error)
    workers = len(await desk.results.workers())
    items = [
        {
            "name": depth.name,
            "messages": depth.messages,
            "consumers": workers if depth.consumers is None and depth.name == QUEUE else depth.consumers or 0,
        }
        for depth in desk.depths
    ]
    return OrjsonResponse({"items": items})


@router.get("/celery/workers", response_model=Workers, responses=problems(401, 422, 503))
@router.get("/celery/workers/", include_in_schema=False)
async def workers(desk: DeskDep) -> Any:
    """Worker processes that are alive, with the model each has loaded."""
    found = await desk.results.workers()
    keys = ("name", "pid", "seen_at", "model_version", "error")
    return OrjsonResponse({"items": [{key: one[key] for key in keys} for one in found]})


@router.get("/drift", response_model=DriftWeeks, responses=problems(401, 422, 503))
@router.get("/drift/", include_in_schema=False)
def drift_weeks(lake: LakeDep) -> Any:
    """Drift summaries of all weeks, newest first."""
    found = []
    for week in reversed(reports.drift_weeks(lake)):
        try:
            found.append({"week": week, **reports.drift_summary(lake, week)})
        except (NotPublishedError, CorruptArtefactError):
            continue
    return OrjsonResponse({"items": found})


@router.get("/drift/{week}", response_model=DriftSummary, responses=problems(401, 404, 422, 503))
@router.get("/drift/{week}/", include_in_schema=False)
def drift_week(week: Week, lake: LakeDep) -> Any:
    """The drift summary of a week."""
    with _known(lake, week):
        return OrjsonResponse({"week": week, **reports.drift_summary(lake, week)})


@router.get("/drift/{week}/report", response_class=HTMLResponse, responses=problems(401, 404, 422, 503))
@router.get("/drift/{week}/report/", include_in_schema=False, response_class=HTMLResponse)
def drift_report(week: Week, lake: LakeDep) -> Any:
    """The drift report of a week as a page."""
    with _known(lake, week):
        return HTMLResponse(lake.read_bytes(reports.drift_page_path(week)))


@contextmanager
def _known(lake: Lake, week: str) -> Iterator[None]:
    """A week without a report is answered with those nearest to it that have one."""
    try:
        yield
    except NotPublishedError as error:
        weeks = [one for one in reports.drift_weeks(lake) if one != week]
        before, after = [one for one in weeks if one < week][-2:], [one for one in weeks if one > week][:2]
        nearest = f"nearest: {', '.join([*before, *after])}" if weeks else "there is none of any week yet"
        raise NotPublishedError(f"there is no drift report for the week of {week}; {nearest}") from error


@router.get("/performance", response_model=Performance, responses=problems(401, 404, 422, 503))
@router.get("/performance/", include_in_schema=False)
def performance(lake: LakeDep) -> Any:
    """Rolling scores of settled forecasts against the references."""
    return OrjsonResponse(lake.read_json(reports.PERFORMANCE))
