"""Archive of all fetched files in the lake, so that every pod can read what another pod fetched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from features.errors import CorruptArtefactError, NotPublishedError, SourceError
from features.io.store import Lake

FOLDER = "sources"


@dataclass(frozen=True)
class Version:
    """Version of a file: when it was fetched, its hash, and the validators that the server sent."""

    url: str
    fetched_at: datetime
    sha256: str
    etag: str = ""
    last_modified: str = ""

    @staticmethod
    def of(url: str, content: bytes, now: datetime, etag: str = "", last_modified: str = "") -> Version:
        """Create the version of a content that was fetched at `now`."""
        return Version(url, now.astimezone(UTC), hashlib.sha256(content).hexdigest(), etag, last_modified)


class FileArchive:
    """Versions of files by address and time.

    Each version is a separate object, named by its time, so that two writers never overwrite each other.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def last(self, url: str, moment: datetime | None = None) -> Version | None:
        """Return the newest version, or the newest one fetched by `moment`; None if there is none.

        Raises
        ------
        SourceError
            If the archive cannot be read.
        """
        return next(self.versions(url, moment), None)

    def versions(self, url: str, moment: datetime | None = None) -> Iterator[Version]:
        """Read all versions, or those fetched by `moment`, the newest first; raises SourceError as `last` does."""
        latest = None if moment is None else _name(moment)
        names = [name for name in self._lake.list(_folder(url)) if name.endswith(".json")]
        for name in reversed(names):
            if latest is None or name <= latest:
                yield self._read(f"{_folder(url)}/{name}")

    def _read(self, path: str) -> Version:
        try:
            document = self._lake.read_json(path)
            return Version(**{**document, "fetched_at": datetime.fromisoformat(document["fetched_at"])})
        except (CorruptArtefactError, NotPublishedError, TypeError, ValueError, KeyError) as error:
            raise SourceError(f"{self._lake.root}/{path} is damaged; delete that file") from error

    def keep(self, version: Version, content: bytes) -> None:
        """Archive a version, its content first, so that no version exists without content."""
        folder = _folder(version.url)
        self._lake.write_bytes(f"{folder}/{version.sha256}", content)
        document = {**asdict(version), "fetched_at": version.fetched_at.isoformat()}
        self._lake.write_bytes(f"{folder}/{_name(version.fetched_at)}", json.dumps(document, indent=2).encode())

    def content(self, version: Version) -> bytes:
        """Read the content of a version; raises SourceError if the archive lacks it."""
        path = f"{_folder(version.url)}/{version.sha256}"
        try:
            return self._lake.read_bytes(path)
        except NotPublishedError as error:
            folder = f"{self._lake.root}/{_folder(version.url)}"
            raise SourceError(f"{folder} lacks the content of {version.url}; delete that folder") from error


def is_backdated(now: datetime, clock: datetime) -> bool:
    """Whether `now` is in the past, so that archived files are used; one day of tolerance covers the run itself."""
    return now < clock - timedelta(days=1)


def _folder(url: str) -> str:
    return f"{FOLDER}/{hashlib.sha256(url.encode()).hexdigest()[:24]}"


def _name(moment: datetime) -> str:
    """Return the file name of a version; names sort by time."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H%M%S.%f}Z.json"
