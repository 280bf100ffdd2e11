"""HTTP connections that cannot be held for nothing: heads must be small and come in time, answers must be taken.

A head that arrives whole, as nearly all do, costs two comparisons; timers run only for those that do not.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from monitoring.metrics import ERRORS, ErrorKind
from serving.api.problem_details import MEDIA_TYPE
from serving.api.schemas.problems import Problem

HEAD_BYTES = 32_768
"""Largest request line with all headers."""
HEADERS = 100
_KINDS = {
    HTTPStatus.BAD_REQUEST: ErrorKind.INVALID_INPUT,
    HTTPStatus.REQUEST_TIMEOUT: ErrorKind.INVALID_INPUT,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: ErrorKind.TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE: ErrorKind.SHED,
}
log = structlog.get_logger(__name__)


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, patience: float, connections: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = patience
        self._most = connections
        self._in_head = False
        self._received = 0  # since the last head or body ended
        self._head_timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_head()
        if len(self.connections) > self._most:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"more than {self._most} connections are open")

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        self._written()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > HEAD_BYTES:
            self._too_large()
        elif self._in_head or self._idle:
            self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_arrived()
        size = self._received  # the body may have come along, so it is counted only where it could matter
        if size > HEAD_BYTES:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        self._received = 0
        if size > HEAD_BYTES or len(self.headers) > HEADERS:
            self._too_large()
        elif not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._received = 0
        if not self._refused:
            super().on_message_complete()

    @property
    def _idle(self) -> bool:
        """Between two requests, and the timer that closes such connections was stopped by bytes that begin none."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and self.timeout_keep_alive_task is None and not self.transport.is_closing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    # -- answers that nobody takes ----------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        left = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self._patience, self._check_written, left)

    def resume_writing(self) -> None:
        self._written()
        super().resume_writing()

    def _check_written(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left >= before:
            self.transport.abort()
        else:  # slow, but it moves
            self._write_timer = self.loop.call_later(self._patience, self._check_written, left)

    def _written(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # -- heads ------------------------------------------------------------------------------------------------------

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._patience, self._too_slow)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if self.cycle is not None and not self.cycle.response_complete:  # the one before is still being answered
            self._await_head()
        elif self._in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"the headers did not arrive within {self._patience:g} s")
        else:
            self.transport.close()

    def _too_large(self) -> None:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(status, f"at most {HEADERS} headers of {HEAD_BYTES} bytes together are taken")

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer before there is a request, and close."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._head_arrived()
        ERRORS.labels(_KINDS[status]).inc()
        request_id = str(uuid4())
        log.debug("connection.refused", request_id=request_id, status=status.value, detail=detail, client=self.client)
        document = Problem(title=status.phrase, status=status, detail=detail, request_id=request_id)
        body = document.model_dump_json().encode()
        headers = {
            "content-type": MEDIA_TYPE,
            "content-length": str(len(body)),
            "x-request-id": request_id,
            "connection": "close",
            **({"retry-after": "2"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()
