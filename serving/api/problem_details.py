"""Problem documents (RFC 9457): every error that the API answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from features.errors import LeakageError, TouchlineError, UnknownCompetitionError, UnknownMatchError
from monitoring.metrics import ERRORS, ErrorKind
from serving.api.schemas.problems import FieldError, Problem
from serving.errors import BadField, Overloaded, UnknownTask, classify

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = "2"
_TOLD = 3
"""Errors of a request that its summary has; the list beside it has all."""
_UNREADABLE = {"loc": ("body",), "type": "json_invalid", "msg": "the body cannot be read as JSON"}
_SAY_JSON = "send the body as JSON under the header Content-Type: application/json"
_TITLES: Mapping[type[Exception], str] = {LeakageError: "Kick-off too early", BadField: "Invalid request"}
"""Where the name of the class would tell a caller nothing."""
_FIELDS: Mapping[type[Exception], str] = {
    UnknownMatchError: "match_id",
    UnknownCompetitionError: "competition",
    UnknownTask: "task_id",
    LeakageError: "kick_off",
}
"""The part of the request that an error of the domain is about."""
_MOMENT = "expected ISO 8601 with a time zone, for example 2026-03-14T15:00:00Z"
_EXPECTED = {
    "date_": "expected a day as YYYY-MM-DD, for example 2026-03-14",
    "datetime_": _MOMENT,
    "timezone_": _MOMENT,
}
"""What pydantic's errors of these kinds do not say."""
log = structlog.get_logger(__name__)


def problem(error: Exception, request_id: str | None = None) -> tuple[Problem, ErrorKind]:
    """The problem document of an error. What is not ours is not told: it may hold what is nobody's business."""
    found = classify(error)
    if found is not None:
        status, cause = found
        fields = []
        if isinstance(error, BadField):
            fields = [FieldError(field=error.field, message=str(error), suggestions=error.suggestions)]
        elif type(error) in _FIELDS:
            near = error.suggestions if isinstance(error, UnknownCompetitionError) else []
            fields = [FieldError(field=_FIELDS[type(error)], message=str(error), suggestions=near)]
        name = problem_code(error)
        return Problem(
            type=f"urn:touchline:problem:{name}",
            title=_TITLES.get(type(error), name.replace("-", " ").capitalize()),
            status=status.value,
            detail=str(error),
            request_id=request_id,
            errors=fields,
        ), cause
    return Problem(
        title="Internal error",
        status=500,
        detail="something failed that should not; the log has it under the request id",
        request_id=request_id,
    ), ErrorKind.INTERNAL


def problem_code(error: Exception) -> str:
    """The public code of an error: the one its class declares, otherwise the class name in kebab case."""
    declared = vars(type(error)).get("code")
    kebab = "".join(f"-{c.lower()}" if c.isupper() else c for c in type(error).__name__).lstrip("-")
    return str(declared or kebab)


def crash(error: Exception, request_id: str | None) -> Response:
    """The answer where something failed that should not; the log has what it was."""
    document, cause = problem(error, request_id)
    ERRORS.labels(cause).inc()
    log.error("request.crashed", exc_info=error)
    return respond(document)


def respond(document: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem document as a response."""
    extra = dict(headers or {})
    if document.status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("retry-after", _RETRY_AFTER)
    if document.status == HTTPStatus.UNAUTHORIZED:
        extra["www-authenticate"] = "Bearer"
    return Response(document.model_dump_json(), document.status, extra, MEDIA_TYPE)


async def refusal(request: Request, error: Exception) -> Response:
    """The answer to a request that ended in one of our errors."""
    document, cause = problem(error, request.scope.get("request_id"))
    ERRORS.labels(cause).inc()
    if document.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning(
            "request.failed",
            method=request.method,
            path=request.url.path[:200],
            status=document.status,
            error=str(error),
        )
    retry = {"retry-after": str(error.retry_after)} if isinstance(error, Overloaded) else None
    return respond(document, retry)


def install(app: FastAPI) -> None:
    """Answer every error with a problem document."""

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        ERRORS.labels(ErrorKind.INVALID_INPUT).inc()
        found = error.errors()
        if isinstance(error.body, bytes) and error.body:  # it was not taken for JSON
            kind = request.headers.get("content-type", "")
            came = f"it came as {kind[:100]}" if kind else "it came without one"
            found = [{**_UNREADABLE, "type": "content_type", "msg": f"{_SAY_JSON}; {came}"}]
        return respond(validation_problem(found, request.scope.get("request_id")))

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI's word for bytes that are not even text
            return await invalid(request, RequestValidationError([_UNREADABLE]))
        kind = ErrorKind.NOT_FOUND if error.status_code == HTTPStatus.NOT_FOUND else ErrorKind.INVALID_INPUT
        ERRORS.labels(kind).inc()
        title = HTTPStatus(error.status_code).phrase
        detail = str(error.detail) if error.detail != title else f"{title}: {request.method} {request.url.path[:200]}"
        document = Problem(
            title=title, status=error.status_code, detail=detail, request_id=request.scope.get("request_id")
        )
        return respond(document, error.headers)

    app.add_exception_handler(TouchlineError, refusal)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def validation_problem(found: Sequence[Any], request_id: str | None) -> Problem:
    """What pydantic found, with the names of the fields; the values are not sent back."""
    errors = []
    for one in found[:20]:
        where = [str(part) for part in one["loc"] if part not in {"body", "query", "path", "header"}]
        unreadable = one["type"] == "json_invalid"
        field = "body" if unreadable else ".".join(where)[:200] or "body"
        cause = (one.get("ctx") or {}).get("error", "") if unreadable else ""
        expected = next((what for kind, what in _EXPECTED.items() if one["type"].startswith(kind)), "")
        more = (f": {cause}" if cause else "") + (f"; {expected}" if expected else "")
        errors.append(FieldError(field=field, message=f"{one['msg']}{more}"))
    told = [f"{error.field}: {error.message}" for error in errors]
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return Problem(
        type="urn:touchline:problem:invalid-request",
        title="Invalid request",
        status=422,
        detail="; ".join(told[:_TOLD]) + more,
        request_id=request_id,
        errors=errors,
    )
