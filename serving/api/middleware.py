"""Middleware of every request: id, metrics, unhandled errors, origin, API key, size and duration of the body."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection
from http import HTTPStatus
from uuid import uuid4

import structlog
from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.errors import TouchlineError
from monitoring.metrics import ERRORS, observe_request
from serving.api.api_key_file import ApiKeyFile
from serving.api.draining import DrainState
from serving.api.problem_details import internal_error_response, problem_response, to_problem
from serving.api.request_origin import check_origin
from serving.errors import PayloadTooLargeError, RequestTimeoutError, UnauthorizedError
from serving.telemetry import tracing
from serving.wire.limits import MAX_BATCH_SIZE

log = structlog.get_logger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
NO_SNIFF = (b"x-content-type-options", b"nosniff")
"""A header of every response: a browser must not take data for a page or a script."""
MAX_BODY_VALUES = 20 * MAX_BATCH_SIZE
"""JSON values that a body may have; the largest valid one has 5,000. Parsing 300,000 empty lists, 900 kB, would keep
other requests waiting for a fifth of a second."""
_BEFORE_VALUES = (b",", b"[", b"{")
"""Characters of which at least one precedes each value; those inside of text count, too."""
_PUBLIC_PATHS = ("/healthcheck", "/metrics", "/docs", "/openapi.json")


class RequestContextMiddleware:
    """Outermost middleware: gives each request an id for its response and its log lines, measures it and logs it.

    This log line is at DEBUG, because one line per request costs throughput. A refused request is logged at INFO, with
    its problem, so that the request id in a client's problem document leads to it. The error handlers log failures.
    """

    def __init__(self, app: ASGIApp, draining: DrainState) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)  # every request has its own context
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode()), NO_SNIFF]
                if self._draining.active:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            with tracing.span(scope["method"], _parent(scope), request_id=request_id, path=scope["path"][:200]):
                try:
                    await self._app(scope, receive, send_with_id)
                finally:
                    route = route_of(scope)
                    tracing.end_span(f"{scope['method']} {route}" if route else None, status)
        finally:
            seconds = time.perf_counter() - started
            observe_request(scope["method"], route_of(scope), status, seconds)
            is_refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
            write = log.info if is_refused else log.debug
            write(
                "request.refused" if is_refused else "request",
                method=scope["method"],
                path=scope["path"][:200],
                status=status,
                milliseconds=round(seconds * 1000, 2),
            )


class ErrorMiddleware:
    """Turns unhandled exceptions into a 500 problem document. The middleware for id, metrics and CORS is outside it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response_started = False

        async def send_and_note(message: Message) -> None:
            nonlocal response_started
            response_started = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception as error:
            if scope["type"] != "http" or response_started:
                raise
            await internal_error_response(error, scope.get("request_id"))(scope, receive, send)


class RequestGuardMiddleware:
    """Rejects requests of foreign pages, of unknown keys, and with too large or slow bodies, before they are parsed."""

    def __init__(
        self,
        app: ASGIApp,
        keys: ApiKeyFile | None,
        max_body_bytes: int,
        timeout_seconds: float,
        cors_origins: Collection[str] = (),
    ) -> None:
        self._app = app
        self._keys = keys
        self._cors_origins = cors_origins
        self._max_body_bytes = max_body_bytes
        self._timeout_seconds = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            check_origin(scope, self._cors_origins)
            self._check_key(scope)
            if scope["method"] in {"POST", "PUT", "PATCH"}:
                receive = await self._buffered(scope, receive)
        except TouchlineError as error:
            problem, kind = to_problem(error, scope.get("request_id"))
            ERRORS.labels(kind).inc()
            await problem_response(problem, {"connection": "close"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_key(self, scope: Scope) -> None:
        if self._keys is None or scope["method"] == "OPTIONS":
            return
        owner = self._keys.authenticate(_key_of(scope))
        if owner is None:
            if get_route_path(scope).startswith(_PUBLIC_PATHS):
                return
            raise UnauthorizedError("send a valid API key in the header X-API-Key or Authorization: Bearer")
        scope["principal"] = owner

    async def _buffered(self, scope: Scope, receive: Receive) -> Receive:
        declared = Request(scope).headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            raise PayloadTooLargeError(f"the body has {declared[:20]} bytes; the limit is {self._max_body_bytes}")
        try:
            async with asyncio.timeout(self._timeout_seconds):
                body = await self._read(receive)
        except TimeoutError as error:
            raise RequestTimeoutError(f"the body did not arrive within {self._timeout_seconds:g} s") from error
        if sum(map(body.count, _BEFORE_VALUES)) > MAX_BODY_VALUES:
            raise PayloadTooLargeError(
                f"the body has more than {MAX_BODY_VALUES} values; send fewer matches, without unknown fields"
            )
        return prepend_message({"type": "http.request", "body": body, "more_body": False}, receive)

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b"".join(parts)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_body_bytes:
                raise PayloadTooLargeError(f"the body exceeds the limit of {self._max_body_bytes} bytes")
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)


def _key_of(scope: Scope) -> str:
    """Return the API key of a request; the scheme `Bearer` may be in any case."""
    headers = Request(scope).headers
    if key := headers.get("x-api-key"):
        return key
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def prepend_message(message: Message, receive: Receive) -> Receive:
    """Return a `receive` that yields a message that was already received, and then the following ones."""
    pending = [message]

    async def receive_next() -> Message:
        return pending.pop() if pending else await receive()

    return receive_next


def route_of(scope: Scope) -> str | None:
    """Return the path template of the route, such as `/predict/{match_id}`; None if no route matched."""
    template: str | None = getattr(scope.get("route"), "path", None)
    return template.rstrip("/") or "/" if template else None


def _parent(scope: Scope) -> dict[str, str] | None:
    value = next((value for name, value in scope["headers"] if name == b"traceparent"), None)
    return None if value is None else {"traceparent": value.decode("latin-1")}


def _request_id(scope: Scope) -> str:
    """Return the client's own request id if it has a safe form, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            request_id = str(value.decode("latin-1"))
            return request_id if _REQUEST_ID.fullmatch(request_id) else str(uuid4())
    return str(uuid4())
