"""The one HTTP client of all sources: retries, conditional requests, and everything it ever got kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from features.errors import SourceError

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
LARGEST = 50_000_000
"""Bytes of a file; the largest real one has a hundredth of that."""


@dataclass(frozen=True)
class Fetched:
    """One file as it was at `fetched_at`.

    Attributes
    ----------
    changed : whether it differs from what was known before this fetch.
    stale : why the network could not be asked and the last known content is given instead; empty if it could.
    """

    url: str
    content: bytes
    fetched_at: datetime
    changed: bool
    stale: str = ""


class Client:
    """Fetches files and keeps each version that differs, so that what was known at a moment can be had again.

    Parameters
    ----------
    cache : folder of the versions.
    retries : attempts after the first, with doubling pauses.
    pause : seconds before the first retry.
    say : told what is fetched.
    """

    def __init__(
        self,
        cache: Path,
        timeout: float = 20.0,
        retries: int = 3,
        pause: float = 0.5,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._cache = cache
        self._retries = retries
        self._pause = pause
        self._say = say
        self._http = httpx.Client(timeout=timeout, follow_redirects=True, headers={"User-Agent": "touchline"})

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, url: str, now: datetime) -> Fetched | None:
        """The file at `url`; None where the server says that there is none and there never was.

        A file that we have does not cease to be: a 404 then makes it stale, as a network that is down does.

        Raises
        ------
        SourceError
            If it cannot be had and was never had before.
        """
        versions = self._versions(url)
        last = versions[-1] if versions else None
        try:
            response = self._ask(url, last)
        except (httpx.HTTPError, SourceError) as error:
            if last is None:
                raise SourceError(f"{url} cannot be fetched: {error}") from error
            return self._stored(url, last, f"{type(error).__name__}: {error}")
        if response.status_code in (404, 410):
            return self._stored(url, last, f"the server answered {response.status_code}") if last else None
        if response.status_code == httpx.codes.NOT_MODIFIED and last is not None:
            return self._stored(url, last)
        digest = hashlib.sha256(response.content).hexdigest()
        if last is not None and last["sha256"] == digest:
            return self._stored(url, last)
        self._keep(url, response, digest, now, versions)
        return Fetched(url, response.content, now, changed=True)

    def known_at(self, url: str, moment: datetime) -> Fetched | None:
        """The newest version that had been fetched by `moment`, without asking the network; None if there is none."""
        known = [one for one in self._versions(url) if datetime.fromisoformat(one["fetched_at"]) <= moment]
        return self._stored(url, known[-1]) if known else None

    def _ask(self, url: str, last: dict[str, Any] | None) -> httpx.Response:
        headers = {}
        if last is not None:
            conditions = {"If-None-Match": last["etag"], "If-Modified-Since": last["last_modified"]}
            headers = {name: value for name, value in conditions.items() if value}
        self._say(f"fetching {url}")
        for attempt in range(self._retries + 1):
            try:
                response = self._http.get(url, headers=headers)
            except httpx.TransportError:
                if attempt == self._retries:
                    raise
            else:
                if response.status_code not in RETRIED or attempt == self._retries:
                    break
            time.sleep(self._pause * 2**attempt)
        if response.status_code not in (200, 304, 404, 410):
            raise SourceError(f"the server answered {response.status_code} {response.reason_phrase}")
        if len(response.content) > LARGEST:
            raise SourceError(f"the file has {len(response.content)} bytes, more than {LARGEST}")
        return response

    def _folder(self, url: str) -> Path:
        return self._cache / hashlib.sha256(url.encode()).hexdigest()[:24]

    def _versions(self, url: str) -> list[dict[str, Any]]:
        """Versions of a file, oldest first."""
        try:
            versions = list(json.loads((self._folder(url) / "versions.json").read_text())["versions"])
            return sorted(versions, key=lambda one: datetime.fromisoformat(one["fetched_at"]))
        except FileNotFoundError:
            return []
        except (ValueError, KeyError) as error:
            raise SourceError(f"the cache in {self._folder(url)} is damaged; delete that folder") from error

    def _keep(self, url: str, response: httpx.Response, digest: str, now: datetime, versions: list[Any]) -> None:
        folder = self._folder(url)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / digest, response.content)
        version = {
            "fetched_at": now.astimezone(UTC).isoformat(),
            "sha256": digest,
            "etag": response.headers.get("ETag", ""),
            "last_modified": response.headers.get("Last-Modified", ""),
        }
        document = {"url": url, "versions": [*versions, version]}
        _write(folder / "versions.json", json.dumps(document, indent=2).encode())

    def _stored(self, url: str, version: dict[str, Any], stale: str = "") -> Fetched:
        content = (self._folder(url) / version["sha256"]).read_bytes()
        return Fetched(url, content, datetime.fromisoformat(version["fetched_at"]), changed=False, stale=stale)


def _write(path: Path, content: bytes) -> None:
    """Write beside, then rename: a reader never sees half a file."""
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(handle, "wb") as sink:
        sink.write(content)
    Path(unfinished).replace(path)
