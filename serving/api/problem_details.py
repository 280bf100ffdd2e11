"""Problem documents (RFC 9457): the form of every error response."""

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
from serving.errors import (
    InvalidFieldError,
    OverloadedError,
    UnknownTaskError,
    UnsupportedMediaTypeError,
    spec_of,
)

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = "2"
MAX_ERRORS_IN_SUMMARY = 3
"""Field errors that `detail` repeats; `errors` lists up to `MAX_FIELD_ERRORS`."""
MAX_FIELD_ERRORS = 20
_UNREADABLE = {"loc": ("body",), "type": "json_invalid", "msg": "the body is not valid JSON"}
JSON_HINT = "send the body as JSON under the header Content-Type: application/json"
_TITLES: Mapping[type[Exception], str] = {LeakageError: "Kick-off too early", InvalidFieldError: "Invalid request"}
"""Titles of errors whose code is not clear enough."""
_FIELDS: Mapping[type[Exception], str] = {
    UnknownMatchError: "match_id",
    UnknownCompetitionError: "competition",
    UnknownTaskError: "task_id",
    LeakageError: "kick_off",
    UnsupportedMediaTypeError: "Content-Type",
}
"""The request field that each domain error refers to."""
_TIMESTAMP_FORMAT = "expected ISO 8601 with a time zone, for example 2026-03-14T15:00:00Z"
_EXPECTED = {
    "date_": "expected a day as YYYY-MM-DD, for example 2026-03-14",
    "datetime_": _TIMESTAMP_FORMAT,
    "timezone_": _TIMESTAMP_FORMAT,
}
"""Formats to add to pydantic's errors, by the prefix of the error type."""
_MAX_LOGGED_DETAIL = 300
"""Characters of a problem's detail in the log; it repeats what the client sent."""
log = structlog.get_logger(__name__)


def to_problem(
    error: Exception, request_id: str | None = None, with_suggestions: bool = True
) -> tuple[Problem, ErrorKind]:
    """Convert an error to a problem document and the kind that metrics count.

    `with_suggestions=False` saves the search for similar names, which takes longer than all else.
    Messages of third-party exceptions are not exposed: they may contain internal details.
    """
    spec = spec_of(error)
    if spec is None or not isinstance(error, TouchlineError):
        return Problem(
            title="Internal error",
            status=500,
            detail="an unexpected error occurred; find it in the log by the request id",
            request_id=request_id,
        ), ErrorKind.INTERNAL
    fields = []
    if isinstance(error, InvalidFieldError):
        fields = [
            FieldError(field=each.field, message=str(each), suggestions=each.suggestions if with_suggestions else [])
            for each in error.fields
        ]
    elif type(error) in _FIELDS:
        suggestions = error.suggestions if with_suggestions and isinstance(error, UnknownCompetitionError) else []
        fields = [FieldError(field=_FIELDS[type(error)], message=str(error), suggestions=suggestions)]
    return Problem(
        type=f"urn:touchline:problem:{error.code}",
        title=_TITLES.get(type(error), error.code.replace("-", " ").capitalize()),
        status=spec.status.value,
        detail=str(error),
        request_id=request_id,
        errors=fields,
    ), spec.kind


def internal_error_response(error: Exception, request_id: str | None) -> Response:
    """Log and count an unexpected error, and build its response."""
    problem, kind = to_problem(error, request_id)
    ERRORS.labels(kind).inc()
    log.error("request.crashed", exc_info=error)
    return problem_response(problem)


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Build the response of a problem document, which the log line of its request will name."""
    structlog.contextvars.bind_contextvars(problem=problem.type, detail=problem.detail[:_MAX_LOGGED_DETAIL])
    extra = dict(headers or {})
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("retry-after", _RETRY_AFTER)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        extra["www-authenticate"] = "Bearer"
    return Response(problem.model_dump_json(), problem.status, extra, MEDIA_TYPE)


async def error_response(request: Request, error: Exception) -> Response:
    """Log and count one of our own errors, and build its response."""
    problem, kind = to_problem(error, request.scope.get("request_id"))
    ERRORS.labels(kind).inc()
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning(
            "request.failed",
            method=request.method,
            path=request.url.path[:200],
            status=problem.status,
            error=str(error),
        )
    retry = {"retry-after": str(error.retry_after_seconds)} if isinstance(error, OverloadedError) else None
    return problem_response(problem, retry)


def install(app: FastAPI) -> None:
    """Register the handlers that turn every error into a problem document."""

    async def validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if reason := _unsupported_media_type(request, error):
            return await error_response(request, UnsupportedMediaTypeError(reason))
        ERRORS.labels(ErrorKind.INVALID_INPUT).inc()
        return problem_response(validation_problem(error.errors(), request.scope.get("request_id")))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI raises this error for bytes that are not text
            return await validation_error(request, RequestValidationError([_UNREADABLE]))
        kind = ErrorKind.NOT_FOUND if error.status_code == HTTPStatus.NOT_FOUND else ErrorKind.INVALID_INPUT
        ERRORS.labels(kind).inc()
        title = HTTPStatus(error.status_code).phrase
        detail = str(error.detail) if error.detail != title else f"{title}: {request.method} {request.url.path[:200]}"
        problem = Problem(
            title=title, status=error.status_code, detail=detail, request_id=request.scope.get("request_id")
        )
        headers = dict(error.headers or {})
        if headers.get("Allow") == "GET":
            headers["Allow"] = "GET, HEAD"  # `HeadMiddleware` answers it
        return problem_response(problem, headers)

    app.add_exception_handler(TouchlineError, error_response)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)


def _unsupported_media_type(request: Request, error: RequestValidationError) -> str | None:
    """Say why the body was not read, if it is not plain JSON by its headers."""
    coding = request.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        return f"{JSON_HINT}, without a Content-Encoding; it was {coding[:100]}"
    if isinstance(error.body, bytes) and error.body:  # FastAPI did not parse it as JSON
        content_type = request.headers.get("content-type", "")
        actual = f"the header was {content_type[:100]}" if content_type else "the header was missing"
        return f"{JSON_HINT}; {actual}"
    return None


def validation_problem(errors: Sequence[Any], request_id: str | None) -> Problem:
    """Convert pydantic's errors to a problem document that names the fields but does not repeat their values."""
    fields = [_field_error(error) for error in errors[:MAX_FIELD_ERRORS]]
    summary = [f"{field.field}: {field.message}" for field in fields]
    hidden = len(summary) - MAX_ERRORS_IN_SUMMARY
    more = f" and {hidden} more" if hidden > 0 else ""
    return Problem(
        type="urn:touchline:problem:invalid-request",
        title="Invalid request",
        status=422,
        detail="; ".join(summary[:MAX_ERRORS_IN_SUMMARY]) + more + _unchecked(errors),
        request_id=request_id,
        errors=fields,
    )


def _unchecked(errors: Sequence[Any]) -> str:
    """Say that the matches of a batch after the first invalid one were not looked at."""
    location = tuple(errors[0]["loc"]) if errors else ()
    in_item = location[:2] == ("body", "matches") and len(location) > 2
    return f"; the matches after number {location[2]} were not checked" if in_item else ""


def _field_error(error: Any) -> FieldError:
    path = [str(part) for part in error["loc"] if part not in {"body", "query", "path", "header"}]
    is_unreadable = error["type"] == "json_invalid"
    name = "body" if is_unreadable else ".".join(path)[:200] or "body"
    cause = (error.get("ctx") or {}).get("error", "") if is_unreadable else ""
    expected = next((text for prefix, text in _EXPECTED.items() if error["type"].startswith(prefix)), "")
    suffix = (f": {cause}" if cause else "") + (f"; {expected}" if expected else "")
    return FieldError(field=name, message=f"{error['msg']}{suffix}")
