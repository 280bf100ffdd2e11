"""What happens to every request: its id, its metrics, its key, and how large and slow its body may be."""

from __future__ import annotations

import asyncio
import re
import time
from uuid import uuid4

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.errors import TouchlineError
from monitoring.metrics import ERRORS, observe_request
from serving.api.api_keys import Keys
from serving.api.problem_details import crash, problem, respond
from serving.errors import TooLarge, TooSlow, Unauthorised
from serving.telemetry import tracing

log = structlog.get_logger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OPEN_PATHS = ("/healthcheck", "/metrics", "/docs", "/openapi.json")


class Frame:
    """Outermost: gives each request an id, which its answer and its log lines bear, counts it and logs it.

    At INFO only requests that failed are logged, by what made them fail: a line for each one costs throughput.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)  # each request runs in a context of its own
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            with tracing.span(scope["method"], _parent(scope), request_id=request_id, path=scope["path"][:200]):
                try:
                    await self._app(scope, receive, answer)
                finally:
                    route = route_of(scope)
                    tracing.answered(f"{scope['method']} {route}" if route else None, status)
        finally:
            seconds = time.perf_counter() - started
            observe_request(scope["method"], route_of(scope), status, seconds)
            log.debug(
                "request",
                method=scope["method"],
                path=scope["path"][:200],
                status=status,
                milliseconds=round(seconds * 1000, 2),
            )


class Net:
    """Catches what nobody else did, inside of what every answer gets: its id, its place in the metrics, its origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if scope["type"] != "http" or begun:
                raise
            await crash(error, scope.get("request_id"))(scope, receive, send)


class Guard:
    """Refuses unknown keys, and bodies that are too large or too slow, before anything looks at them."""

    def __init__(self, app: ASGIApp, keys: Keys | None, max_body_bytes: int, body_timeout: float) -> None:
        self._app = app
        self._keys = keys
        self._limit = max_body_bytes
        self._timeout = body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_key(scope)
            if scope["method"] in {"POST", "PUT", "PATCH"}:
                receive = await self._buffered(scope, receive)
        except TouchlineError as error:
            document, cause = problem(error, scope.get("request_id"))
            ERRORS.labels(cause).inc()
            await respond(document, {"connection": "close"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_key(self, scope: Scope) -> None:
        if self._keys is None or scope["path"].startswith(_OPEN_PATHS) or scope["method"] == "OPTIONS":
            return
        headers = Request(scope).headers
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        name = self._keys.owner(given)
        if name is None:
            raise Unauthorised("an API key is needed, in the header X-API-Key or Authorization: Bearer")
        scope["principal"] = name

    async def _buffered(self, scope: Scope, receive: Receive) -> Receive:
        declared = Request(scope).headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._limit:
            raise TooLarge(f"the body has {declared[:20]} bytes; at most {self._limit} are taken")
        try:
            async with asyncio.timeout(self._timeout):
                body = await self._read(receive)
        except TimeoutError as error:
            raise TooSlow(f"the body did not arrive within {self._timeout:g} s") from error
        return replayed({"type": "http.request", "body": body, "more_body": False}, receive)

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b"".join(parts)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._limit:
                raise TooLarge(f"the body has more than the {self._limit} bytes that are taken")
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)


def replayed(message: Message, receive: Receive) -> Receive:
    """A message that was received already, then those that come."""
    first = [message]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


def route_of(scope: Scope) -> str | None:
    """The template of the route, such as `/predict/{match_id}`; None where none matched."""
    template: str | None = getattr(scope.get("route"), "path", None)
    return template.rstrip("/") or "/" if template else None


def _parent(scope: Scope) -> dict[str, str] | None:
    given = next((value for name, value in scope["headers"] if name == b"traceparent"), None)
    return None if given is None else {"traceparent": given.decode("latin-1")}


def _request_id(scope: Scope) -> str:
    """The caller's own id if it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = str(value.decode("latin-1"))
            return given if _REQUEST_ID.fullmatch(given) else str(uuid4())
    return str(uuid4())
