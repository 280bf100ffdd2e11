"""Tables of the user's files: each row under the column names of a match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, lru_cache
from hashlib import sha256
from zoneinfo import ZoneInfo

from features.competitions import COMPETITIONS, is_slug
from features.errors import SourceError
from features.io.sources.cells import is_empty, quoted
from features.io.sources.column_map import SETTING, ColumnMap, ColumnSetting, map_columns
from features.io.sources.decompression import unpack
from features.io.sources.kick_off_cell import day_text
from features.io.sources.parquet_table import read_parquet_table
from features.io.sources.text_table import BrokenRow, TextTable, read_text_table
from features.slugs import slug

Cells = Mapping[str, str]


@dataclass
class OwnTable:
    """Rows of one table, each with its line, and how its columns are read."""

    file: str
    seen_at: datetime
    column_map: ColumnMap
    header: Sequence[str]
    rows: Sequence[tuple[int, Cells]] = ()
    """Rows of the competition that is read."""
    by_competition: Mapping[str | None, Sequence[tuple[int, Cells]]] = field(default_factory=dict)
    """All rows by the slug of their competition; None for those that name none."""
    broken: list[BrokenRow] = field(default_factory=list)
    days: Mapping[str, int] = field(default_factory=dict)
    """Days of all competitions as they are written, with their counts: they tell the order of day and month."""


class TableReader:
    """Reads tables with one setting, and each content of a file once: it may be asked for many competitions of it."""

    def __init__(self, setting: ColumnSetting) -> None:
        self.setting = setting
        self._read: dict[tuple[str, bytes], tuple[list[OwnTable], list[str]]] = {}

    def read(self, file: str, data: bytes, seen_at: datetime) -> tuple[list[OwnTable], list[str]]:
        """Read the tables of a file, and a sentence for each part that is passed over.

        Raises
        ------
        SourceError
            If the file cannot be read, or lacks a column. A `.txt` without these columns is passed over.
        """
        key = file, sha256(data).digest()
        if key not in self._read:
            self._read[key] = _read_tables(file, data, self.setting, seen_at)
        tables, passed_over = self._read[key]
        return [replace(table, seen_at=seen_at) for table in tables], [*passed_over]


def _read_tables(file: str, data: bytes, setting: ColumnSetting, seen_at: datetime) -> tuple[list[OwnTable], list[str]]:
    unpacked, passed_over = unpack(file, data)
    tables = []
    for name, content in unpacked:
        try:
            tables.append(_read(name, content, setting, seen_at))
        except SourceError as error:
            if not name.lower().endswith((".txt", ".txt.gz")):
                raise
            passed_over.append(f"{name}: {error}")
    return tables, passed_over


def _read(file: str, data: bytes, setting: ColumnSetting, seen_at: datetime) -> OwnTable:
    found: list[tuple[ColumnMap, Sequence[str]]] = []

    def choose(header: Sequence[str]) -> set[str]:
        found.append((map_columns(file, header, setting), header))
        return set(found[0][0].columns.values())

    if data[:4] == b"PAR1":
        table = read_parquet_table(file, data, choose)
    else:
        table = read_text_table(file, data)
        choose(table.header)
    (column_map, header), *_ = found
    own = OwnTable(file, seen_at, column_map, header, broken=[*table.broken])
    _fill(own, table)
    return own


def _fill(own: OwnTable, table: TextTable) -> None:
    """Name the cells of each row. A row with more cells than columns is broken: its cells may have moved."""
    by_competition: dict[str | None, list[tuple[int, Cells]]] = {}
    at = {name: table.header.index(column) for name, column in own.column_map.columns.items()}
    n_columns, constants = len(table.header), own.column_map.constants
    for line, cells in table.rows:
        if len(cells) > n_columns:
            reason = f"{len(cells)} cells in a table of {n_columns} columns"
            own.broken.append(BrokenRow(line, reason, ",".join(cells)))
            continue
        n = len(cells)
        named = {**constants, **{name: cells[i] if i < n else "" for name, i in at.items()}}
        by_competition.setdefault(competition_of(named["competition"]), []).append((line, named))
    own.by_competition = by_competition
    own.days = Counter(day_text(row["kick_off"]) for rows in by_competition.values() for _, row in rows)


@lru_cache(maxsize=4096)
def competition_of(cell: str) -> str | None:
    """Return the slug that a cell means: a slug in any case, a name such as `My League`, or a code such as `E0`."""
    text = cell.strip()
    if is_slug(text):
        return text
    if text in _codes():
        return _codes()[text]
    return slug(text) if not is_empty(text) and is_slug(slug(text)) else None


@cache
def _codes() -> dict[str, str]:
    return {str(league.football_data): league.slug for league in COMPETITIONS if league.football_data}


def no_slug(cell: str, competition: str | None) -> str:
    """Say that a cell names no competition, and what to write instead: the given slug, if the user has named one."""
    if is_empty(cell):
        return "competition is empty"
    constant = competition or f"xyz-{slug(cell) or 'league'}"
    return (
        f"competition {quoted(cell)} is no slug that begins with a country, such as {constant}; if the file has one "
        f'competition, set {SETTING}=\'{{"competition": "={constant}"}}\''
    )


@lru_cache(maxsize=256)
def zone_named(name: str) -> ZoneInfo | None:
    """Return a time zone by its name, such as Europe/London; None if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
