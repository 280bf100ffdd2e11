"""The reader of text tables: any encoding, line end and delimiter; no row is lost without a word."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import SourceError
from features.io.sources.decompression import MAX_BYTES, unpack
from features.io.sources.text_table import TextTable, read_text_table

HEADER = "Date,Home,Away,HG,AG"
ROWS = ["2025-04-05,São Bento,Riverside,2,1", "2025-04-12,Riverside,Harbour,1,3", "2025-04-19,Harbour,Milltown,0,0"]


def _read(*lines: str, end: str = "\n", encoding: str = "utf-8") -> TextTable:
    return read_text_table("m.csv", end.join(lines).encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_encodings_and_line_ends_give_the_same_table(encoding: str, end: str) -> None:
    """Whatever the encoding and the line ends, cells and line numbers are the same."""
    table = _read(HEADER, *ROWS, end=end, encoding=encoding)
    assert table.header == HEADER.split(",")
    assert [(row.line, row.cells) for row in table.rows] == [(i, row.split(",")) for i, row in enumerate(ROWS, 2)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_from_the_header(delimiter: str) -> None:
    """Commas, semicolons, tabs and bars separate cells; other signs then belong to the cell."""
    table = _read(*(line.replace(",", delimiter) for line in [HEADER, *ROWS]))
    assert table.rows[0].cells == ROWS[0].split(",")


def test_blank_lines_do_not_move_row_numbers() -> None:
    """Rows keep the numbers that an editor shows, with blank lines before and between."""
    table = _read("", ",,,,", HEADER, "", ROWS[0], "  ", ",,,,", ROWS[1], "")
    assert [row.line for row in table.rows] == [5, 8]


def test_empty_trailing_cells_are_nothing_and_others_are_kept() -> None:
    """Empty cells beyond the header are dropped; others stay, so that the row can be refused."""
    table = _read(HEADER, f"{ROWS[0]},,,", f"{ROWS[1]},replay")
    assert [len(row.cells) for row in table.rows] == [5, 6]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_unclosed_quote_costs_only_its_row(at: int) -> None:
    """The row with the quote is named; the rows below it are not swallowed."""
    rows = [row.replace("2025-", '"2025-', 1) if i == at else row for i, row in enumerate(ROWS)]
    table = _read(HEADER, *rows)
    assert [row.line for row in table.rows] == [line for line in (2, 3, 4) if line != at + 2]
    (broken,) = table.broken
    assert (broken.line, broken.reason) == (at + 2, "a quote is opened and not closed")


def test_two_unclosed_quotes_swallow_nothing_between_them() -> None:
    """A second stray quote further down does not close the first one."""
    rows = [ROWS[0].replace("Riverside", '"Riverside'), ROWS[1], ROWS[2].replace("Harbour", '"Harbour')]
    table = _read(HEADER, *rows)
    assert ([row.line for row in table.rows], [row.line for row in table.broken]) == ([3], [2, 4])


def test_rows_that_a_quote_joins_to_one_that_is_too_long_are_not_one_row() -> None:
    """Two rows of three cells with a stray quote each, which would be one row of four cells."""
    table = _read("x,y,z", '1,2,"3', '4,",6', "7,8,9")
    assert ([row.line for row in table.rows], [row.line for row in table.broken]) == ([4], [2, 3])


def test_quoted_cells_may_have_delimiters_and_lines() -> None:
    """Proper quotes work: a comma, a doubled quote and a line end inside a cell."""
    table = _read("a,b,c", '1,"x, ""y""",2', '3,"first\nsecond",4', "5,6,7")
    assert [row.cells for row in table.rows] == [["1", 'x, "y"', "2"], ["3", "first\nsecond", "4"], ["5", "6", "7"]]
    assert [row.line for row in table.rows] == [2, 3, 5]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "m.csv is empty"),
        (b" \n,,\n", "m.csv is empty"),
        (b"<!DOCTYPE html><html></html>", "m.csv is a web page"),
        (b"a,b\n1,\x002\n3,4\n5,6", "m.csv line 2 has a NUL character"),
        (b"a,b\n1,2\n" + b"x" * 200_000, "m.csv line 3 has 200,000 characters"),
        (b"\xff\xfea\x00,\x00b", "utf-16"),
    ],
)
def test_what_is_no_table_is_one_error(data: bytes, message: str) -> None:
    """A file that is no table is named, with the line if there is one."""
    with pytest.raises(SourceError, match=message):
        read_text_table("m.csv", data)


def _zip(**members: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return raw.getvalue()


def test_compressed_files_are_known_by_their_content() -> None:
    """Gzip and zip are unpacked whatever the name; every table of a zip is read, other members are named."""
    assert unpack("m.csv", gzip.compress(b"a,b\n") + gzip.compress(b"1,2\n"))[0] == [("m.csv", b"a,b\n1,2\n")]
    tables, passed_over = unpack("m.zip", _zip(a__csv=b"1", b__CSV=b"2", c__pdf=b"3"))
    assert tables == [("m.zip/a.csv", b"1"), ("m.zip/b.CSV", b"2")]
    assert passed_over == ["m.zip/c.pdf: not a CSV or parquet file"]


@pytest.mark.parametrize("kind", ["gzip", "zip"])
def test_unpacking_ends_at_a_limit(kind: str) -> None:
    """A small file that unpacks to more than the limit is refused."""
    big = b"\0" * (MAX_BYTES + 1)
    bomb = gzip.compress(big, 9) if kind == "gzip" else _zip(a__csv=big)
    assert len(bomb) < MAX_BYTES / 100
    with pytest.raises(SourceError, match="when unpacked"):
        unpack("m.csv", bomb)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"a" * 1000)[:20], "cut off"),
        (b"\x1f\x8bjunk", "damaged gzip"),
        (b"PK\x03\x04junk", "zip archive that cannot be read"),
        (_zip(a__pdf=b"1"), "without a CSV"),
        (b"\xd0\xcf\x11\xe0rest", "spreadsheet"),
    ],
    ids=["gzip cut off", "no gzip", "no zip", "zip without a table", "spreadsheet"],
)
def test_damaged_archives_are_one_error(data: bytes, message: str) -> None:
    """A cut or damaged archive is named."""
    with pytest.raises(SourceError, match=message):
        unpack("m.zip", data)


TABLE_BYTES = st.lists(st.sampled_from([b",", b";", b"\n", b"\r", b'"', b"a", b"1", b"\x00", b"\xff", b" ", b"\t"]))


@given(st.one_of(st.binary(max_size=300), TABLE_BYTES.map(b"".join)))
def test_any_bytes_are_a_table_or_one_error(data: bytes) -> None:
    """Whatever the bytes, there is a table or a SourceError, and every row has its line."""
    try:
        tables, _ = unpack("m.csv", data)
        table = read_text_table("m.csv", tables[0].data)
    except SourceError:
        return
    lines = [row.line for row in table.rows] + [row.line for row in table.broken]
    assert len(lines) == len(set(lines))


@given(st.lists(st.lists(st.text("ab,;\"' é", min_size=1), min_size=3, max_size=3), min_size=1, max_size=8))
def test_no_character_is_lost(rows: list[list[str]]) -> None:
    """Every character but quotes, spaces and commas is in a cell of a row or in the text of a broken row."""
    lines = [",".join(cell.replace(",", ".") for cell in row) for row in rows]
    table = _read("x,y,z", *lines)
    read = [*(cell for row in table.rows for cell in row.cells), *(row.text for row in table.broken)]
    assert _signs(read) == _signs(lines)


def _signs(texts: list[str]) -> Counter[str]:
    return Counter(sign for text in texts for sign in text if sign not in '", \n')
