"""The newest version of a remote file that can be used: a bad one neither replaces a good one nor is archived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from features.errors import SourceError
from features.io.sources.archive import is_backdated
from features.io.sources.client import Client, Fetched
from features.io.sources.download_errors import RefusedError
from features.io.sources.row_parsing import ParsedFile

MAX_REFUSED = 20
"""Versions that are tried; each takes up to a second to parse."""


@dataclass(frozen=True)
class Reading:
    """What was read of one file.

    Attributes
    ----------
    fetched, parsed : the version that is used and its content; None if there is none.
    refusals : why newer versions cannot be used, the newest first.
    stale : why the file could not be refreshed; empty if it was.
    """

    fetched: Fetched | None = None
    parsed: ParsedFile | None = None
    refusals: tuple[str, ...] = ()
    stale: str = ""


def read(
    client: Client,
    url: str,
    parse: Callable[[Fetched], ParsedFile],
    now: datetime,
    clock: datetime,
    known_later: bool = True,
) -> Reading:
    """Read the newest usable version of a file as of `now`, and archive it if it is new; `clock` is the real time.

    Parameters
    ----------
    known_later : whether a file that was not archived by a past `now` may be fetched today in its place.

    Raises
    ------
    UnreachableError
        If there is no version, because the server cannot be reached: a later run may find the file.
    SourceError
        If the archive is damaged.
    """
    refusals: dict[bytes, str] = {}
    stale = ""
    versions = _versions(client, url, now, clock, known_later)
    while len(refusals) < MAX_REFUSED:
        try:
            version = next(versions, None)
        except RefusedError as error:
            return Reading(refusals=(*refusals.values(), str(error)))
        if version is None:
            break
        stale = version.stale or stale
        if version.content in refusals:
            continue
        try:
            parsed = parse(version)
        except SourceError as error:
            refusals[version.content] = str(error)
        else:
            return Reading(client.keep(version), parsed, tuple(refusals.values()), stale)
    return Reading(refusals=tuple(refusals.values()), stale=stale)


def _versions(client: Client, url: str, now: datetime, clock: datetime, known_later: bool) -> Iterator[Fetched]:
    """Yield the versions of a file in the order in which they are tried; in the past, first those known then."""
    past = is_backdated(now, clock)
    if past:
        yield from client.archived(url, now)
        if not known_later:
            return
    fetched = client.fetch(url, clock)
    if fetched is not None:
        yield fetched
        yield from client.archived(url)
