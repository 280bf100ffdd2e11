"""One file over HTTP: retries, redirects, and limits on time and size. Every failure is one sentence."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import httpx

from features.io.sources.connection_deadline import ConnectionDeadline
from features.io.sources.content_encoding import ACCEPTED, Unpacker
from features.io.sources.download_errors import RefusedError, UnreachableError
from features.io.sources.retry_after import seconds_to_wait

RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_ANSWERS = frozenset({HTTPStatus.OK, HTTPStatus.NOT_MODIFIED, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
MAX_FILE_BYTES = 50_000_000
"""A hundred times the size of the largest real file."""
MAX_FETCH_SECONDS = 180.0
"""For one file, including all attempts; real files take a second or two."""


@dataclass(frozen=True)
class Response:
    """Answer of a server: 200 with a content, 304 (unchanged), or 404 and 410 (no such file)."""

    status: int
    headers: httpx.Headers
    content: bytes


class Downloader:
    """Downloads single files.

    Parameters
    ----------
    timeout : seconds without data after which a request fails.
    retries : attempts after the first, with doubling pauses, or the pause that the server asks for.
    pause : seconds before the first retry.
    largest : maximum size of a file in bytes, unpacked.
    longest : maximum seconds for a file, including all attempts and pauses.
    """

    def __init__(self, timeout: float, retries: int, pause: float, largest: int, longest: float) -> None:
        self._retries, self._pause = retries, pause
        self._largest, self._longest = largest, longest
        headers = {"User-Agent": "touchline", "Accept-Encoding": ACCEPTED}
        self._connections = ConnectionDeadline()
        self._http = httpx.Client(timeout=timeout, follow_redirects=True, headers=headers)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def get(self, url: str, conditions: Mapping[str, str], now: datetime) -> Response:
        """Request `url` with the headers `conditions`.

        Raises
        ------
        UnreachableError
            If there is no answer, or the server is busy, also after all retries.
        RefusedError
            If the server refuses, or sends what cannot be used.
        """
        deadline = time.monotonic() + self._longest
        failure = UnreachableError("no attempt was made")
        for attempt in range(self._retries + 1):
            pause = self._pause * 2**attempt
            try:
                response = self._attempt(url, conditions, deadline)
            except httpx.TransportError as error:
                failure = UnreachableError(str(error) or type(error).__name__)
            else:
                if response.status in _ANSWERS:
                    return response
                pause = max(pause, seconds_to_wait(response.headers, now))
                failure = self._refusal(response, pause)
            if attempt == self._retries or pause > deadline - time.monotonic():
                break
            time.sleep(pause)
        raise failure

    def _refusal(self, response: Response, pause: float) -> UnreachableError:
        """Return the failure of a busy server; raise one that no retry can change."""
        sentence = f"the server answered {response.status} {httpx.codes.get_reason_phrase(response.status)}".rstrip()
        if response.status not in RETRY_STATUSES:
            raise RefusedError(sentence)
        if "Retry-After" in response.headers and pause > self._longest:
            sentence += f" and asks to wait {pause:.0f} seconds, more than the limit of {self._longest:.0f}"
        return UnreachableError(sentence)

    def _attempt(self, url: str, conditions: Mapping[str, str], deadline: float) -> Response:
        """Send one request; it is aborted if the file is too large or takes too long."""
        trace = {"trace": self._connections.note}
        try:
            with (
                self._connections.within(deadline - time.monotonic()),
                self._http.stream("GET", url, headers=dict(conditions), extensions=trace) as response,
            ):
                unpacker = Unpacker(response.headers.get("Content-Encoding", ""), self._largest)
                for chunk in response.iter_raw():
                    unpacker.add(chunk)
            if time.monotonic() >= deadline:  # without a Content-Length, this end looks like that of a file
                raise httpx.ReadTimeout("")
        except (httpx.TooManyRedirects, httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError) as error:
            raise RefusedError(f"the address or a redirect of it cannot be followed: {error}") from error
        except httpx.TransportError as error:
            if time.monotonic() >= deadline:
                sentence = f"the download was not complete after {self._longest:.0f} seconds"
                raise UnreachableError(sentence) from error
            raise
        return Response(response.status_code, response.headers, unpacker.content())
