"""Limits per HTTP connection: size and duration of the request head, and time to read the response.

Idle connections are kept for longer than load balancers keep theirs, so that the balancer ends them: a request that is
sent while the server closes its connection is lost. Their number is bounded instead. Above a share of the maximum every
response ends its connection (`Connection: close`), and at the maximum the longest idle connection makes room for a new
one. If none is idle, connections beyond the maximum are for probes: they get an answer only on the health paths, so
that a busy server is still found alive.

The limits stop slow clients from holding connections open (slowloris); behind an ingress with such limits they are
optional.
A head that arrives in one piece, as nearly all do, costs two comparisons; only the others start a timer.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from monitoring.metrics import ERRORS, ErrorKind
from serving.api.problem_details import MEDIA_TYPE
from serving.api.schemas.problems import Problem
from serving.api.upgrade_offers import UpgradeIgnoringProtocol

MAX_HEAD_BYTES = 32_768
"""Maximum size of the request line and all headers together."""
MAX_HEADERS = 100
CLOSING_SHARE = 0.9
"""Share of the maximum number of connections above which every response ends its connection."""
MIN_IDLE_SECONDS = 5.0
"""A connection that has idled for less makes no room for a new one: its client may be about to send a request."""
PROBE_PLACES = 32
"""Connections beyond the maximum. When all are taken, the oldest that has asked for nothing gives way."""
_PROBE_PATHS = (b"/healthcheck",)
_ERROR_KINDS = {
    HTTPStatus.BAD_REQUEST: ErrorKind.INVALID_INPUT,
    HTTPStatus.REQUEST_TIMEOUT: ErrorKind.INVALID_INPUT,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: ErrorKind.TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE: ErrorKind.SHED,
}
log = structlog.get_logger(__name__)


class BoundedHttpProtocol(UpgradeIgnoringProtocol):
    """One connection. Overrides private parts of uvicorn's protocol, which must be checked when uvicorn is upgraded."""

    def __init__(self, *args: Any, timeout_seconds: float, max_connections: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timeout = timeout_seconds
        self._max_connections = max_connections
        self._closing_above = CLOSING_SHARE * max_connections
        self._in_head = False
        self._received = 0  # bytes since the last head or body ended
        self._head_timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None
        self._rejected = False
        self._is_surplus = False
        self._connected_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._start_head_timer()
        if len(self.connections) > self._max_connections and not self._close_longest_idle():
            self._is_surplus, self._connected_at = True, self.loop.time()
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._write_finished()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._rejected:
            return
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > MAX_HEAD_BYTES:
            self._reject_head()
        elif self._in_head or self._idle:
            self._start_head_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_head_timer()
        # May include part of the body, so the head is measured by itself only if it could be too large.
        size = self._received
        if size > MAX_HEAD_BYTES:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        self._received = 0
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._reject_head()
        elif self._is_surplus and not self.url.startswith(_PROBE_PATHS):
            self._reject_surplus()
        elif not self._rejected:
            super().on_headers_complete()
            if self._is_surplus or len(self.connections) > self._closing_above:
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if not self._rejected:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._received = 0
        if not self._rejected:
            super().on_message_complete()

    @property
    def _idle(self) -> bool:
        """True between two requests if stray bytes, such as empty lines, have stopped uvicorn's keep-alive timer."""
        is_complete = self.cycle is None or self.cycle.response_complete
        return is_complete and self.timeout_keep_alive_task is None and not self.transport.is_closing()

    def send_400_response(self, msg: str) -> None:
        self._reject(HTTPStatus.BAD_REQUEST, msg)

    # -- responses that the client does not read --------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        unsent = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self._timeout, self._check_progress, unsent)

    def resume_writing(self) -> None:
        self._write_finished()
        super().resume_writing()

    def _check_progress(self, unsent_before: int) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent >= unsent_before:
            self.transport.abort()
        else:  # slow, but the client reads
            self._write_timer = self.loop.call_later(self._timeout, self._check_progress, unsent)

    def _write_finished(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # -- heads ------------------------------------------------------------------------------------------------------

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._timeout, self._on_head_timeout)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_head_timeout(self) -> None:
        self._head_timer = None
        if self.cycle is not None and not self.cycle.response_complete:  # the previous request is still in progress
            self._start_head_timer()
        elif self._is_surplus:
            self._reject_surplus()
        elif self._in_head:
            self._reject(HTTPStatus.REQUEST_TIMEOUT, f"the headers did not arrive within {self._timeout:g} s")
        else:
            self.transport.close()

    # -- places -----------------------------------------------------------------------------------------------------

    def _close_longest_idle(self) -> bool:
        """Close the connection that has idled longest; false if none has idled for MIN_IDLE_SECONDS."""
        connections = (each for each in self.connections if isinstance(each, BoundedHttpProtocol))
        longest = max(connections, key=lambda connection: connection._idle_seconds)
        if longest._idle_seconds < MIN_IDLE_SECONDS:
            return False
        longest.transport.close()
        return True

    @property
    def _idle_seconds(self) -> float:
        """Seconds since the last response; 0 before the first and while there is a request or the end has begun."""
        timer = self.timeout_keep_alive_task
        if timer is None or self._in_head or self.transport.is_closing():
            return 0.0
        return float(self.loop.time() - (timer.when() - self.timeout_keep_alive))

    def _make_room(self) -> None:
        """Reject the oldest surplus connection that has asked for nothing, if the places for probes are full."""
        surplus = [one for one in self.connections if isinstance(one, BoundedHttpProtocol) and one._is_surplus]
        if len(surplus) <= PROBE_PLACES:
            return
        waiting = [one for one in surplus if one is not self and one.cycle is None]
        min(waiting, key=lambda one: one._connected_at, default=self)._reject_surplus()

    def _reject_surplus(self) -> None:
        self._reject(HTTPStatus.SERVICE_UNAVAILABLE, f"all {self._max_connections} connections are in use")

    def _reject_head(self) -> None:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._reject(status, f"the limits are {MAX_HEADERS} headers and {MAX_HEAD_BYTES} bytes")

    def _reject(self, status: HTTPStatus, detail: str) -> None:
        """Send a problem document without a complete request, and close the connection."""
        if self._rejected or self.transport.is_closing():
            return
        self._rejected = True
        self._stop_head_timer()
        ERRORS.labels(_ERROR_KINDS[status]).inc()
        request_id = str(uuid4())
        log.debug("connection.rejected", request_id=request_id, status=status.value, detail=detail, client=self.client)
        problem = Problem(title=status.phrase, status=status, detail=detail, request_id=request_id)
        body = problem.model_dump_json().encode()
        headers = {
            "content-type": MEDIA_TYPE,
            "content-length": str(len(body)),
            "x-request-id": request_id,
            "connection": "close",
            "x-content-type-options": "nosniff",
            **({"retry-after": "2"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()
