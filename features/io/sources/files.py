"""Matches from CSV or parquet files of the user; the columns are mapped, recognised or constant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from features.errors import SourceError
from features.io.sources.archive import FileArchive, Version, is_backdated
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.column_map import SETTING
from features.io.sources.file_listing import list_files, read_file
from features.io.sources.own_match import read_matches
from features.io.sources.own_table import OwnTable, TableReader, no_slug
from features.io.sources.row_parsing import FileParse
from features.io.sources.source_result import Defect
from features.matches import conform

SOURCE = "files"
MAX_EARLIER = 20
"""Earlier contents of an unusable file that are tried; each takes up to a second to parse."""

__all__ = ["Content", "FilesParse", "competitions", "contents", "list_files", "parse_all"]


class Content(NamedTuple):
    """Content of a file, when it was first read, and its earlier contents, the newest first."""

    data: bytes
    seen_at: datetime
    earlier: Callable[[], Iterable[tuple[bytes, datetime]]] = tuple


class FilesParse(NamedTuple):
    """Matches of one competition from all files, defects, row counts, and sentences about the files.

    `rows` counts those of the competition and those that name none, `other_rows` those of other competitions.
    `unusable` names the files that cannot be used, with the reason and what is used instead.
    """

    matches: pd.DataFrame
    defects: list[Defect]
    rows: int
    other_rows: int
    notes: list[str]
    unusable: list[str]


def contents(
    setting: Path | None, versions: FileArchive, now: datetime, clock: datetime, aliases: Path | None = None
) -> dict[str, Content]:
    """Read each file but the alias table as it was at `now`, by name, and archive new content.

    `clock` is the real time.
    """
    by_name = {}
    for name, path in _matches_files(setting, aliases).items():
        content = read_file(path)
        current, last = Version.of(f"files:{name}", content, clock), versions.last(f"files:{name}")
        if last is None or last.sha256 != current.sha256:
            versions.keep(current, content)
            last = current
        past = now if is_backdated(now, clock) else None
        archived = versions.last(current.url, past) if past else None
        by_name[name] = Content(
            versions.content(archived) if archived else content,
            (archived or last).fetched_at,
            partial(_earlier, versions, current.url, past),
        )
    return by_name


def _matches_files(setting: Path | None, aliases: Path | None) -> dict[str, Path]:
    files = list_files(setting).files
    own = {name: path for name, path in files.items() if aliases is None or path.resolve() != aliases.resolve()}
    return own or files


def _earlier(versions: FileArchive, url: str, moment: datetime | None) -> Iterator[tuple[bytes, datetime]]:
    """Yield the archived contents of a file before its current one, at most `MAX_EARLIER`."""
    for version in islice(versions.versions(url, moment), 1, 1 + MAX_EARLIER):
        yield versions.content(version), version.fetched_at


def competitions(setting: Path | None, reader: TableReader, aliases: Path | None = None) -> tuple[str, ...]:
    """List the slugs of the competitions in the files.

    Raises
    ------
    SourceError
        If no file can be read, or none of their rows names a competition.
    """
    slugs: set[str] = set()
    reasons: list[str] = []
    for name, path in _matches_files(setting, aliases).items():
        try:
            tables, _ = reader.read(name, read_file(path), datetime.max.replace(tzinfo=UTC))
        except SourceError as error:
            reasons.append(str(error))
            continue
        for table in tables:
            slugs |= {found for found in table.by_competition if found}
            unclear = dict.fromkeys(cells["competition"] for _, cells in table.by_competition.get(None, ()))
            reasons += [f"{table.file}: {no_slug(cell, reader.setting.competition)}" for cell in unclear]
    if reasons and not slugs:
        raise SourceError(reasons[0])
    return tuple(sorted(slugs))


def parse_all(
    contents: Mapping[str, Content], competition: str, reader: TableReader, known: ClubAliases | None = None
) -> FilesParse:
    """Parse all files: the matches of one competition without duplicates, and an account of every row.

    A file that cannot be used takes nothing else with it: its last usable content is used, or it is left out.

    Raises
    ------
    SourceError
        If no file can be used.
    """
    tables: list[OwnTable] = []
    notes: list[str] = []
    unusable: list[str] = []
    for name, content in contents.items():
        own, passed_over = _usable_tables(name, content, reader, unusable)
        tables += own
        notes += [f"passed over {sentence}" for sentence in passed_over]
    if unusable and not tables:
        raise SourceError(unusable[0])
    unused = reader.setting.unused([*contents, *(table.file for table in tables)])
    notes += [f"{SETTING} has columns for {pattern!r}, which is the name of no file" for pattern in unused]
    parses = [FileParse(SOURCE, table.file, known or load_aliases()) for table in tables]
    others: Counter[str] = Counter()
    for table, parsed in zip(tables, parses, strict=True):
        notes += _select(table, parsed, competition, others, reader.setting.competition)
    notes += read_matches(competition, tables, parses, unusable)
    good = [{**match, "file": parsed.file} for parsed in parses for match in parsed.good]
    rows = sum(parsed.rows for parsed in parses)
    if others:
        notes.append(
            f"rows of other competitions: {', '.join(f'{name} {count}' for name, count in others.most_common(5))}"
        )
    defects = [defect for parsed in parses for defect in parsed.defects]
    return FilesParse(_table(good), defects, rows, others.total(), notes, unusable)


def _usable_tables(
    name: str, content: Content, reader: TableReader, unusable: list[str]
) -> tuple[list[OwnTable], list[str]]:
    """Read the newest content of a file that can be read; the reason against newer ones is added to `unusable`."""
    try:
        return reader.read(name, content.data, content.seen_at)
    except SourceError as error:
        reason = str(error)
    for data, seen_at in content.earlier():
        try:
            own = reader.read(name, data, seen_at)
        except SourceError:
            continue
        unusable.append(f"{reason}; the content of {seen_at:%Y-%m-%d %H:%M} is used")
        return own
    unusable.append(reason)
    return [], []


def _table(good: list[dict[str, object]]) -> pd.DataFrame:
    """Return the matches with the file and row of each; they get their ids when repeated listings are left out."""
    if not good:
        return pd.DataFrame()
    table = pd.DataFrame(good)
    return conform(table.assign(match_id="")).assign(file=table["file"], row=table["row"])


def _select(
    table: OwnTable, parsed: FileParse, competition: str, others: Counter[str], example: str | None
) -> list[str]:
    """Keep the rows of one competition, count the others, and reject those that name none."""
    notes = [f"{table.file}: {described}" for described in [table.column_map.describe()] if described]
    for broken in table.broken:
        parsed.rows += 1
        parsed.reject(broken.line, broken.reason, broken.text)
    for line, cells in table.by_competition.get(None, ()):
        parsed.rows += 1
        parsed.reject(line, no_slug(cells["competition"], example), cells)
    others.update({name: len(rows) for name, rows in table.by_competition.items() if name not in (competition, None)})
    table.rows = table.by_competition.get(competition, ())
    renamed = dict.fromkeys(name for _, cells in table.rows if (name := cells["competition"]) != competition)
    return [*notes, *(f"{table.file}: competition {cell!r} is read as {competition}" for cell in renamed)]
