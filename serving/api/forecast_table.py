"""All published forecasts with what happened and their scores, as one table: CSV or parquet.

The table is read from the lake and sent week by week, so the memory of one week suffices for any number of seasons.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from features.errors import CorruptArtefactError, NotPublishedError
from features.forecast_schemas import FORECASTS, SCORES
from features.io.store import Lake
from features.matches import OUTCOMES
from serving.api.catalogue.catalogue import Catalogue

SETTLED = pa.schema([*FORECASTS, *SCORES])
TABLE = pa.schema(
    [
        *FORECASTS,
        *(
            pa.field(field.name, pa.string() if field.name == "outcome" else field.type)  # null until it is settled
            for field in SCORES
        ),
    ]
)
"""The columns: those of the lake, with `outcome` as a word, like `predicted_outcome` and as elsewhere in the API."""
PIECE_BYTES = 65_536
"""Largest piece of the body. It is compressed in the event loop: 2 ms."""
_FORMULA = r"\A([=+\-@\t\r])"
"""How a cell begins that a spreadsheet would compute. Names come from files of others."""


class Filters(Protocol):
    """Which forecasts are in the table; None for all. Days are those of the kick-off, in UTC."""

    competition: str | None
    season: str | None
    date_from: date | None
    date_to: date | None


def check_readable(catalogue: Catalogue, filters: Filters) -> None:
    """Raise CorruptArtefactError if a week of the table cannot be read: its forecasts would be missing."""
    for name, reason in catalogue.unreadable_tables.items():
        table, _, week = name.partition("/")
        if table in ("forecasts", "settled_forecasts") and (not week or _may_have_matches(week, filters)):
            raise CorruptArtefactError(f"{name} cannot be read: {reason}; date_from and date_to leave weeks out")


def weekly_tables(catalogue: Catalogue, filters: Filters) -> Iterator[pa.Table]:
    """Read the forecasts of each week that has any. Every match is in one week: that of its score or latest forecast.

    The forecast of a match that was played is the one that was scored: the last before its kick-off.
    """
    for week in sorted({*catalogue.forecasts.weeks, *catalogue.settled.weeks}):
        if _may_have_matches(week, filters):
            table = _filtered(_week(catalogue, week), filters)
            if table.num_rows:
                yield table


def csv_pieces(tables: Iterable[pa.Table]) -> Iterator[bytes]:
    """Encode the tables as CSV with one header; times are ISO 8601 in UTC, to the second.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    yield (",".join(TABLE.names) + "\n").encode()
    for table in tables:
        sink = io.BytesIO()
        columns = [_as_text(column) for column in table.columns]
        options = pyarrow.csv.WriteOptions(include_header=False)
        pyarrow.csv.write_csv(pa.table(columns, names=table.column_names), sink, options)
        yield from _pieces(sink.getvalue())


def parquet_pieces(tables: Iterable[pa.Table]) -> Iterator[bytes]:
    """Encode the tables as one parquet file, a row group for each."""
    sink = _Sink()
    with pq.ParquetWriter(sink, TABLE, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
            yield from _pieces(sink.take())
    yield from _pieces(sink.take())


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken. Arrow counts the position by itself."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: bytes | memoryview) -> int:  # type: ignore[override]  # the only types that Arrow passes
        self._parts.append(bytes(part))
        return len(part)

    def take(self) -> bytes:
        content, self._parts = b"".join(self._parts), []
        return content


def _pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column.cast(pa.timestamp("us")).cast(pa.timestamp("s"), safe=False), "%Y-%m-%dT%H:%M:%SZ")
    return pc.replace_substring_regex(column, _FORMULA, r"'\1") if pa.types.is_string(column.type) else column


def _may_have_matches(week: str, filters: Filters) -> bool:
    try:
        monday = date.fromisoformat(week)
    except ValueError:
        return True
    ends_early = filters.date_from is not None and monday + timedelta(days=6) < filters.date_from
    return not ends_early and (filters.date_to is None or monday <= filters.date_to)


def _week(catalogue: Catalogue, week: str) -> pa.Table:
    settled = _read(catalogue.lake, "settled_forecasts", week, SETTLED)
    latest = _read(catalogue.lake, "forecasts", week, FORECASTS)
    if latest.num_rows:
        ids = latest["match_id"].to_pylist()
        is_settled = catalogue.settled.has(ids) | np.isin(ids, settled["match_id"].to_pylist())
        latest = latest.filter(pa.array(catalogue.forecasts.is_latest(week, ids) & ~is_settled))
    outcomes = pa.array(OUTCOMES).take(settled["outcome"].combine_chunks())
    settled = settled.set_column(settled.column_names.index("outcome"), "outcome", outcomes)
    whole = pa.concat_tables([settled.cast(TABLE), latest], promote_options="default").cast(TABLE)
    return whole.sort_by([("kick_off", "ascending"), ("match_id", "ascending")])


def _read(lake: Lake, name: str, week: str, schema: pa.Schema) -> pa.Table:
    try:
        return lake.read_arrow(name, week, schema=schema).select(schema.names)
    except NotPublishedError:
        return schema.empty_table()


def _filtered(table: pa.Table, filters: Filters) -> pa.Table:
    wanted = pc.scalar(True)
    for name in ("competition", "season"):
        if (value := getattr(filters, name)) is not None:
            wanted &= pc.field(name) == value
    if filters.date_from is not None:
        wanted &= pc.field("kick_off") >= datetime.combine(filters.date_from, time.min, UTC)
    if filters.date_to is not None:
        wanted &= pc.field("kick_off") <= datetime.combine(filters.date_to, time.max, UTC)
    return table.filter(wanted)
