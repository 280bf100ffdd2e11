"""Tasks, queues, workers, drift and performance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import structlog
from fastapi import Path
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from features.errors import CorruptArtefactError, NotPublishedError, TouchlineError
from features.io import report_files
from features.io.store import Lake
from monitoring.metrics import INVALID_RESULTS
from serving.api.artefact_formats import parse_report
from serving.api.dependencies import DispatcherDep, LakeDep, RequestId, problems
from serving.api.problem_details import to_problem
from serving.api.query_params import NoQuery
from serving.api.routes.slash_router import SlashRouter
from serving.api.schemas.forecasts import Forecast, TaskState, TaskStatus
from serving.api.schemas.operations import Queue, Queues, Worker, Workers
from serving.api.schemas.reports import DriftSummary, DriftWeeks, Performance, PromotionGate
from serving.errors import BrokerUnavailableError, InvalidResultError, TaskFailedError, UnknownTaskError
from serving.wire.queue import QUEUE
from serving.wire.stored_results import read_forecast, read_stored

log = structlog.get_logger(__name__)
router = SlashRouter(prefix="/monitoring", tags=["monitoring"])
Week = Annotated[str, Path(pattern=r"^\d{4}-\d{2}-\d{2}$", description="Monday of the week.", examples=["2026-03-09"])]
_PAGE_HEADERS = {
    "Content-Security-Policy": "sandbox allow-scripts allow-popups; default-src 'none'; "
    "script-src 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
"""Headers of a report page. Its scripts draw the figures: they run without the API's origin, and load nothing."""
_TASK_ID = re.compile(r"[0-9a-f-]{36}")
TaskId = Annotated[str, Path(description="`task_id` of the response that accepted the task.")]


@router.get("/task_status/{task_id}", responses=problems(401, 404, 422, 503))
async def task_status(task_id: TaskId, _: NoQuery, dispatcher: DispatcherDep, request_id: RequestId) -> TaskStatus:
    """State of an asynchronous task: pending, started, success with its forecast, or failure with its error."""
    stored, accepted = await dispatcher.results.status(task_id) if _TASK_ID.fullmatch(task_id) else (None, None)
    if accepted is None and stored is None:
        if (lost_at := dispatcher.results.lost_at) is not None and _TASK_ID.fullmatch(task_id):
            reason = f"the result store lost its data at {lost_at:%Y-%m-%dT%H:%M:%SZ}; send the request again"
            lost = to_problem(TaskFailedError(reason), request_id)[0]
            return TaskStatus(task_id=task_id, status=TaskState.FAILURE, error=lost)
        raise UnknownTaskError(f"task {task_id[:100]} is unknown: it was never accepted, or its result has expired")
    if stored is None:
        is_started = accepted == b"started"
        return TaskStatus(task_id=task_id, status=TaskState.STARTED if is_started else TaskState.PENDING)
    try:
        result = _read_forecast(stored)
    except TouchlineError as error:
        if isinstance(error, InvalidResultError):
            log.error("result.invalid", task_id=task_id, error=str(error))
            INVALID_RESULTS.labels("forecast").inc()
        return TaskStatus(task_id=task_id, status=TaskState.FAILURE, error=to_problem(error, request_id)[0])
    return TaskStatus(task_id=task_id, status=TaskState.SUCCESS, result=result)


def _read_forecast(document: bytes) -> Forecast:
    """The forecast in a stored result; raises the error that the task ended with, or InvalidResultError."""
    forecast = read_forecast(read_stored(document))
    try:
        return Forecast.model_validate(forecast)
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise InvalidResultError(f"the stored result is no forecast: {reason}") from error


@router.get("/celery/queues", responses=problems(401, 422, 503))
async def queues(_: NoQuery, dispatcher: DispatcherDep) -> Queues:
    """Messages and consumers of each queue."""
    await dispatcher.refresh()
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
        except (NotPublishedError, CorruptArtefactError) as error:
            log.warning("drift_report.unreadable", week=week, error=str(error))
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
        return HTMLResponse(lake.read_bytes(report_files.drift_page_path(week)), headers=_PAGE_HEADERS)


@router.get("/performance", responses=problems(401, 404, 422, 503))
def performance(_: NoQuery, lake: LakeDep) -> Performance:
    """Scores of the settled forecasts, compared with the baselines."""
    return parse_report(Performance, report_files.PERFORMANCE, lake.read_json(report_files.PERFORMANCE))


@router.get("/gate", responses=problems(401, 404, 422, 503))
def promotion_gate(_: NoQuery, lake: LakeDep) -> PromotionGate:
    """Whether the candidate may replace the model in production: each condition, and both witnesses."""
    return parse_report(PromotionGate, report_files.PROMOTION_GATE, lake.read_json(report_files.PROMOTION_GATE))


def _drift_summary(lake: Lake, week: str) -> DriftSummary:
    summary = {"week": week, **report_files.drift_summary(lake, week)}
    return parse_report(DriftSummary, report_files.drift_summary_path(week), summary)


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
