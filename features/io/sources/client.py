"""HTTP client of all sources: retries, conditional requests, and an archive of all fetched files in the lake."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import httpx

from features.errors import SourceError
from features.io.sources.archive import FileArchive, Version

RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_FILE_BYTES = 50_000_000
"""A hundred times the size of the largest real file."""
MAX_FETCH_SECONDS = 180.0
"""For one file, including all attempts; real files take a second or two."""


@dataclass(frozen=True)
class Fetched:
    """File as it was at `fetched_at`.

    Attributes
    ----------
    changed : whether it differs from the last archived version.
    stale : why the last archived version is returned instead of a fresh one; empty if it is fresh.
    """

    url: str
    content: bytes
    fetched_at: datetime
    changed: bool
    stale: str = ""


@dataclass(frozen=True)
class _Response:
    status: int
    headers: httpx.Headers
    content: bytes


class Client:
    """Fetches files and archives each new version, so that the state at any past time can be read again.

    Parameters
    ----------
    versions : archive of fetched files.
    timeout : seconds without data after which a request fails.
    retries : attempts after the first, with doubling pauses.
    pause : seconds before the first retry.
    largest : maximum size of a file in bytes.
    longest : maximum seconds for a file, including all attempts.
    on_progress : called with a line for each file.
    """

    def __init__(
        self,
        versions: FileArchive,
        timeout: float = 20.0,
        retries: int = 3,
        pause: float = 0.5,
        largest: int = MAX_FILE_BYTES,
        longest: float = MAX_FETCH_SECONDS,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._archive = versions
        self._retries, self._pause = retries, pause
        self._largest, self._longest = largest, longest
        self._on_progress = on_progress
        self._http = httpx.Client(timeout=timeout, follow_redirects=True, headers={"User-Agent": "touchline"})

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, url: str, now: datetime) -> Fetched | None:
        """Fetch `url`; None if the server has no such file and it is not archived.

        If the file was fetched before, a 404 returns the archived version as stale, like a network failure.

        Raises
        ------
        SourceError
            If it cannot be fetched and is not archived.
        """
        last = self._archive.last(url)
        try:
            response = self._request(url, last)
        except (httpx.HTTPError, SourceError) as error:
            if last is None:
                raise SourceError(f"{url} cannot be fetched: {error}") from error
            return self._stored(last, f"{type(error).__name__}: {error}")
        if response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return self._stored(last, f"the server answered {response.status}") if last else None
        if last is not None and response.status == HTTPStatus.NOT_MODIFIED:
            return self._stored(last)
        etag, modified = (response.headers.get(name, "") for name in ("ETag", "Last-Modified"))
        version = Version.of(url, response.content, now, etag, modified)
        if last is not None and last.sha256 == version.sha256:
            return self._stored(last)
        self._archive.keep(version, response.content)
        return Fetched(url, response.content, now, changed=True)

    def known_at(self, url: str, moment: datetime) -> Fetched | None:
        """Read the newest version fetched by `moment` from the archive; None if there is none."""
        version = self._archive.last(url, moment)
        return self._stored(version) if version else None

    def _request(self, url: str, last: Version | None) -> _Response:
        conditions = {"If-None-Match": last.etag, "If-Modified-Since": last.last_modified} if last else {}
        headers = {name: value for name, value in conditions.items() if value}
        deadline = time.monotonic() + self._longest
        self._on_progress(f"fetching {url}")
        for attempt in range(self._retries + 1):
            try:
                response = self._attempt(url, headers, deadline)
            except httpx.TransportError:
                if attempt == self._retries:
                    raise
            else:
                if response.status not in RETRY_STATUSES or attempt == self._retries:
                    break
            time.sleep(min(self._pause * 2**attempt, max(deadline - time.monotonic(), 0)))
        if response.status not in (200, 304, 404, 410):
            raise SourceError(f"the server answered {response.status} {httpx.codes.get_reason_phrase(response.status)}")
        return response

    def _attempt(self, url: str, headers: dict[str, str], deadline: float) -> _Response:
        """Send one request; it is aborted if the file is too large or takes too long."""
        content = bytearray()
        with self._http.stream("GET", url, headers=headers) as response:
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > self._largest:
                    raise SourceError(f"the file has more than {self._largest} bytes")
                if time.monotonic() > deadline:
                    raise SourceError(f"the download was not complete after {self._longest:.0f} seconds")
        return _Response(response.status_code, response.headers, bytes(content))

    def _stored(self, version: Version, stale: str = "") -> Fetched:
        content = self._archive.content(version)
        return Fetched(version.url, content, version.fetched_at, changed=False, stale=stale)
