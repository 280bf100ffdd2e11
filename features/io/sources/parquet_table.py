"""Parquet files: the columns that are needed, all cells as text, never beyond a limit."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import SourceError
from features.io.sources.decompression import MAX_BYTES
from features.io.sources.text_table import MAX_LINE, MAX_ROWS, Row, TextTable

_BATCH = 16_384


def read_parquet_table(file: str, data: bytes, choose: Callable[[Sequence[str]], Collection[str]]) -> TextTable:
    """Read the chosen columns; the first row has number 2, as if the header were row 1.

    Parameters
    ----------
    choose : given the names of all flat columns, returns those to read.

    Raises
    ------
    SourceError
        If the file is damaged or too large.
    """
    try:
        return _read(file, data, choose)
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError, TypeError) as error:
        raise SourceError(f"{file} is a parquet file that cannot be read: {str(error)[:200]}") from error


def _read(file: str, data: bytes, choose: Callable[[Sequence[str]], Collection[str]]) -> TextTable:
    with pq.ParquetFile(io.BytesIO(data)) as parquet:
        rows, schema = parquet.metadata.num_rows, parquet.schema_arrow
    if not 0 <= rows <= MAX_ROWS:
        raise SourceError(f"{file} has {rows:,} rows, more than {MAX_ROWS:,}; split it")
    flat = [str(column.name) for column in schema if not pa.types.is_nested(column.type)]
    chosen = choose(flat)
    names = [name for name in dict.fromkeys(flat) if name in chosen]
    # text stays in its dictionary, so that a long cell of many rows is in memory once
    texts = [name for name in names if pa.types.is_string(schema.field(name).type)]
    table = TextTable(file, names)
    with pq.ParquetFile(io.BytesIO(data), read_dictionary=texts) as parquet:
        for batch in parquet.iter_batches(_BATCH, columns=names) if names else ():
            if batch.nbytes > MAX_BYTES:
                raise SourceError(f"{file} has cells of more than {MAX_BYTES:,} bytes in {_BATCH:,} rows")
            columns = [_texts(file, name, batch.column(number)) for number, name in enumerate(batch.schema.names)]
            start = len(table.rows) + 2
            table.rows += [Row(start + at, list(cells)) for at, cells in enumerate(zip(*columns, strict=True))]
            if len(table.rows) > MAX_ROWS:
                raise SourceError(f"{file} has more than {MAX_ROWS:,} rows; split it")
    table.header = list(batch.schema.names) if table.rows else names
    return table


def _texts(file: str, name: str, column: pa.Array) -> list[str]:
    """Write each value as text; values that are missing become empty."""
    if pa.types.is_dictionary(column.type):
        words = [_text(value) for value in column.dictionary.to_pylist()]
        if any(len(word) > MAX_LINE for word in words):
            raise SourceError(f"{file} has a cell of more than {MAX_LINE:,} characters in the column {name}")
        return ["" if at is None else words[at] for at in column.indices.to_pylist()]
    return [_text(value) for value in column.to_pylist()]


def _text(value: object) -> str:
    if value is None or value != value:  # NaN differs from itself
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").strip()
    return str(value).strip()
