"""HTTP client of all sources: conditional requests, and an archive of all usable files in the lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from features.io.sources.archive import FileArchive, Version
from features.io.sources.download import MAX_FETCH_SECONDS, MAX_FILE_BYTES, Downloader
from features.io.sources.download_errors import RefusedError, UnreachableError

MAX_HEADER = 1000
"""Longest validator that is stored; real ones have up to a hundred characters."""


@dataclass(frozen=True)
class Fetched:
    """File as it was at `fetched_at`.

    Attributes
    ----------
    changed : whether it differs from the last archived version.
    stale : why the last archived version is returned instead of a fresh one; empty if it is fresh.
    etag, last_modified : validators that the server sent with it; empty for archived versions.
    """

    url: str
    content: bytes
    fetched_at: datetime
    changed: bool
    stale: str = ""
    etag: str = ""
    last_modified: str = ""


class Client:
    """Fetches files and archives versions of them, so that the state at any past time can be read again.

    What is fetched is not archived by itself: a server may send an error page in place of a file. The caller parses
    it first, and then calls `keep`.

    Parameters
    ----------
    versions : archive of fetched files.
    timeout, retries, pause, largest, longest : limits, see `Downloader`.
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
        self._downloader = Downloader(timeout, retries, pause, largest, longest)
        self._on_progress = on_progress

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._downloader.close()

    def fetch(self, url: str, now: datetime) -> Fetched | None:
        """Fetch `url`; None if the server has no such file and it is not archived.

        If the file was archived before, a 404 returns the archived version as stale, like a network failure.

        Raises
        ------
        SourceError
            If it cannot be fetched and is not archived (`UnreachableError`, `RefusedError`), or the archive is damaged.
        """
        last = self._archive.last(url)
        self._on_progress(f"fetching {url}")
        try:
            response = self._downloader.get(url, _conditions(last), now)
        except (UnreachableError, RefusedError) as error:
            if last is None:
                raise type(error)(f"{url} cannot be fetched: {error}") from error
            return self._stored(last, str(error))
        if response.status == HTTPStatus.OK:
            etag, modified = (_validator(response.headers.get(name, "")) for name in ("ETag", "Last-Modified"))
            changed = last is None or last.sha256 != Version.of(url, response.content, now).sha256
            fetched_at = now if last is None or changed else last.fetched_at
            return Fetched(url, response.content, fetched_at, changed, "", etag, modified)
        if last is None:
            return None
        unchanged = response.status == HTTPStatus.NOT_MODIFIED
        return self._stored(last, "" if unchanged else f"the server answered {response.status}")

    def keep(self, fetched: Fetched) -> Fetched:
        """Archive what was fetched, if it is new; returns it."""
        if fetched.changed:
            version = Version.of(fetched.url, fetched.content, fetched.fetched_at, fetched.etag, fetched.last_modified)
            self._archive.keep(version, fetched.content)
        return fetched

    def archived(self, url: str, moment: datetime | None = None) -> Iterator[Fetched]:
        """Read the archived versions that were fetched by `moment` (default: all), the newest first."""
        return (self._stored(version) for version in self._archive.versions(url, moment))

    def _stored(self, version: Version, stale: str = "") -> Fetched:
        content = self._archive.content(version)
        return Fetched(version.url, content, version.fetched_at, changed=False, stale=stale)


def _conditions(last: Version | None) -> dict[str, str]:
    """Return the headers that ask for a file only if it differs from the last version."""
    headers = {"If-None-Match": last.etag, "If-Modified-Since": last.last_modified} if last else {}
    return {name: _validator(value) for name, value in headers.items() if _validator(value)}


def _validator(value: str) -> str:
    """Return a validator that can be sent back; empty if it cannot."""
    return value if value.isascii() and value.isprintable() and len(value) <= MAX_HEADER else ""
