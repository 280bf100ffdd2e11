"""Tasks, queues, workers, drift and performance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
from fastapi import Path
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from features.errors import CorruptArtefactError, NotPublishedError, TouchlineError
from features.io import report_files
from features.io.store import Lake
from serving.api.dependencies import DispatcherDep, LakeDep, RequestId, problems
from serving.api.problem_details import to_problem
from serving.api.query_params import NoQuery
from serving.api.routes.slash_router import SlashRouter
from serving.api.schemas.forecasts import TaskState, TaskStatus
from serving.api.schemas.operations import Queue, Queues, Worker, Workers
from serving.api.schemas.reports import DriftSummary, DriftWeeks, Performance
from serving.errors import BrokerUnavailableError, UnknownTaskError
from serving.wire.queue import QUEUE
from serving.wire.results import parse_result

router = SlashRouter(prefix="/monitoring", tags=["monitoring"])
Week = Annotated[str, Path(pattern=r"^\d{4}-\d{2}-\d{2}$", description="Monday of the week.", examples=["2026-03-09"])]
_TASK_ID = re.compile(r"[0-9a-f-]{36}")
TaskId = Annotated[str, Path(description="`task_id` of the response that accepted the task.")]


@router.get("/task_status/{task_id}", responses=problems(401, 404, 422, 503))
async def task_status(task_id: TaskId, _: NoQuery, dispatcher: DispatcherDep, request_id: RequestId) -> TaskStatus:
    """State of an asynchronous task: pending, started, success with its forecast, or failure with its error."""
    stored, accepted = await dispatcher.results.status(task_id) if _TASK_ID.fullmatch(task_id) else (None, None)
    if accepted is None and stored is None:
        raise UnknownTaskError(f"task {task_id[:100]} is unknown: it was never accepted, or its result has expired")
    if stored is None:
        is_started = accepted == b"started"
        return TaskStatus(task_id=task_id, status=TaskState.STARTED if is_started else TaskState.PENDING)
    try:
        result = parse_result(orjson.loads(stored))
    except TouchlineError as error:
        return TaskStatus(task_id=task_id, status=TaskState.FAILURE, error=to_problem(error, request_id)[0])
    return TaskStatus(task_id=task_id, status=TaskState.SUCCESS, result=result)


@router.get("/celery/queues", responses=problems(401, 422, 503))
async def queues(_: NoQuery, dispatcher: DispatcherDep) -> Queues:
    """Messages and consumers of each queue."""
    await dispatcher.poll_broker()
    if dispatcher.broker_error:
        raise BrokerUnavailableError(dispatcher.broker_error)
    worker_count = len(await dispatcher.results.workers())
    return Queues(
        items=[
            Queue(
                name=queue.name,
                messages=queue.messages,
                # Redis knows no consumers.
                consumers=worker_count if queue.consumers is None and queue.name == QUEUE else queue.consumers or 0,
            )
            for queue in dispatcher.queues
        ]
    )


@router.get("/celery/workers", responses=problems(401, 422, 503))
async def workers(_: NoQuery, dispatcher: DispatcherDep) -> Workers:
    """Live worker processes and the model version that each has loaded."""
    return Workers(
        items=[Worker.model_validate(worker, from_attributes=True) for worker in await dispatcher.results.workers()]
    )


@router.get("/drift", responses=problems(401, 422, 503))
def drift_weeks(_: NoQuery, lake: LakeDep) -> DriftWeeks:
    """Drift summaries of all weeks, newest first. Unreadable ones are left out."""
    items = []
    for week in reversed(report_files.drift_weeks(lake)):
        try:
            items.append(_drift_summary(lake, week))
        except (NotPublishedError, CorruptArtefactError):
            continue
    return DriftWeeks(items=items)


@router.get("/drift/{week}", responses=problems(401, 404, 422, 503))
def drift_week(week: Week, _: NoQuery, lake: LakeDep) -> DriftSummary:
    """The drift summary of a week."""
    with _suggesting_weeks(lake, week):
        return _drift_summary(lake, week)


@router.get("/drift/{week}/report", response_class=HTMLResponse, responses=problems(401, 404, 422, 503))
def drift_report(week: Week, _: NoQuery, lake: LakeDep) -> HTMLResponse:
    """The drift report of a week as an HTML page."""
    with _suggesting_weeks(lake, week):
        return HTMLResponse(lake.read_bytes(report_files.drift_page_path(week)))


@router.get("/performance", responses=problems(401, 404, 422, 503))
def performance(_: NoQuery, lake: LakeDep) -> Performance:
    """Scores of the settled forecasts, compared with the baselines."""
    report = lake.read_json(report_files.PERFORMANCE)
    with _checking_format(report_files.PERFORMANCE):
        return Performance.model_validate(report)


def _drift_summary(lake: Lake, week: str) -> DriftSummary:
    summary: dict[str, Any] = {"week": week, **report_files.drift_summary(lake, week)}
    with _checking_format(report_files.drift_summary_path(week)):
        return DriftSummary.model_validate(summary)


@contextmanager
def _checking_format(path: str) -> Iterator[None]:
    """Raise CorruptArtefactError for a report that lacks what the schema requires."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise CorruptArtefactError(f"{path} does not have the expected format: {field}: {first['msg']}") from error


@contextmanager
def _suggesting_weeks(lake: Lake, week: str) -> Iterator[None]:
    """Add the nearest weeks that have a report to the error of a week that has none."""
    try:
        yield
    except NotPublishedError as error:
        weeks = [other for other in report_files.drift_weeks(lake) if other != week]
        before, after = [other for other in weeks if other < week][-2:], [other for other in weeks if other > week][:2]
        nearest = f"nearest: {', '.join([*before, *after])}" if weeks else "there are no drift reports yet"
        raise NotPublishedError(f"there is no drift report for the week of {week}; {nearest}") from error
