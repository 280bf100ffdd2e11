"""Tables in text files: the header, and each row with its line number as an editor counts."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from features.errors import SourceError
from features.io.sources.text_encoding import decode

DELIMITERS = ",;\t|"
MAX_LINE = 100_000
"""Longest line in characters: real rows have at most a thousand."""

MAX_COLUMNS = 2000
MAX_ROWS = 1_000_000
_MAX_CELL_LINES = 50


class Row(NamedTuple):
    """Cells of one row, stripped, and its line; more cells than the header has names are at the end."""

    line: int
    cells: list[str]


class BrokenRow(NamedTuple):
    """Row that cannot be split into cells."""

    line: int
    reason: str
    text: str


@dataclass
class TextTable:
    """Header, rows and broken rows of a table; blank rows are left out."""

    file: str
    header: list[str]
    rows: list[Row] = field(default_factory=list)
    broken: list[BrokenRow] = field(default_factory=list)


def read_text_table(file: str, data: bytes) -> TextTable:
    """Read a table with a header: any usual encoding, line end and delimiter.

    Raises
    ------
    SourceError
        If the file is empty, a web page or no text, or a line or the whole table is too long.
    """
    if data.lstrip()[:1] == b"<":
        raise SourceError(f"{file} is a web page, not a CSV: the address is wrong or the server sends an error page")
    lines = decode(file, data).split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip(" \t,;|")), None)
    if first is None:
        raise SourceError(f"{file} is empty")
    if named := re.fullmatch(r'"?sep=(.)"?', lines[first].strip(), re.IGNORECASE):  # for spreadsheets
        first += 1
    head = lines[first] if first < len(lines) else ""
    delimiter = named[1] if named and named[1] in DELIMITERS else _delimiter(head)
    _check_line(file, first + 1, head)
    header = [name.strip() for name in next(csv.reader([head], delimiter=delimiter, skipinitialspace=True), [])]
    if len(header) > MAX_COLUMNS:
        raise SourceError(f"{file} line {first + 1} has {len(header)} columns, more than {MAX_COLUMNS}")
    table = TextTable(file, header)
    for row in _rows(file, lines, first + 1, delimiter, len(header)):
        if isinstance(row, BrokenRow):
            table.broken.append(row)
        else:
            table.rows.append(row)
        if len(table.rows) + len(table.broken) > MAX_ROWS:
            raise SourceError(f"{file} has more than {MAX_ROWS:,} rows; split it")
    return table


def _delimiter(head: str) -> str:
    """Return the delimiter that occurs most often in the header outside quotes; the comma if none does."""
    bare = re.sub(r'"[^"]*"', "", head)
    return max(DELIMITERS, key=bare.count)


def _check_line(file: str, line: int, text: str) -> None:
    if len(text) > MAX_LINE:
        raise SourceError(f"{file} line {line} has {len(text):,} characters: the file is no table, or damaged")


def _rows(file: str, lines: list[str], start: int, delimiter: str, n_columns: int) -> Iterator[Row | BrokenRow]:
    index = start
    while index < len(lines):
        text, line = lines[index], index + 1
        index += 1
        if len(text) > MAX_LINE:
            _check_line(file, line, text)
        if '"' not in text:
            cells = text.split(delimiter)
        else:
            quoted = _quoted_cells(lines, index - 1, delimiter, n_columns)
            if isinstance(quoted, str):
                yield BrokenRow(line, quoted, text)
                continue
            cells, index = quoted
        cells = [cell.strip() for cell in cells]
        while len(cells) > n_columns and not cells[-1]:
            cells.pop()
        if not any(cells):
            continue
        if len(cells) > n_columns + MAX_COLUMNS:
            yield BrokenRow(line, f"{len(cells)} cells in a table of {n_columns} columns", text)
            continue
        yield Row(line, cells)


def _quoted_cells(lines: list[str], index: int, delimiter: str, n_columns: int) -> tuple[list[str], int] | str:
    """Split a row with quotes, perhaps of several lines: its cells and the next index, or what is wrong with it.

    A quote that is opened and not closed would swallow the rows below. It is recognised by lines inside a cell that
    look like rows of this table.
    """
    many = max(n_columns // 2, 2)
    for end in range(index + 1, min(index + _MAX_CELL_LINES, len(lines)) + 1):
        last = lines[end - 1]
        if end > index + 1 and (('"' not in last and last.count(delimiter) >= many) or len(last) > MAX_LINE):
            break
        cells = _split("\n".join(lines[index:end]), delimiter, strict=True)
        if end == index + 1 and cells == []:  # quotes inside a cell, such as "the "old" ground"
            cells = _split(last, delimiter, strict=False)
        if not cells:
            continue
        if any("\n" in cell and cell.count(delimiter) >= many for cell in cells):
            break
        if end > index + 1 and len(cells) > n_columns:  # two rows with a stray quote each
            break
        if len(cells) < n_columns and any(cell.count(delimiter) >= 2 for cell in cells):
            return "a quoted cell contains delimiters and cells are missing: a quote may be in the wrong place"
        return cells, end
    return "a quote is opened and not closed"


def _split(text: str, delimiter: str, strict: bool) -> list[str] | None:
    """Split the lines of one row; None if a quote is still open at their end, no cells if a quote is misplaced."""
    try:
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=strict), [])
    except csv.Error as error:
        return None if "unexpected end of data" in str(error) else []
