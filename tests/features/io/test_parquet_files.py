"""Damaged parquet files are errors, never other values."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import CorruptArtefactError
from features.io import parquet_files
from features.io.store import Lake

TABLE = pa.table(
    {
        "team": ["Arsenal", "Chelsea", "Everton", None],
        "elo": [1700.5, 1612.25, None, 1490.0],
        "at": pa.array([datetime(2026, 3, day, tzinfo=UTC) for day in range(1, 5)], pa.timestamp("us", tz="UTC")),
        "scores": [[{"home": 1, "p": 0.5}], [], None, [{"home": 2, "p": 0.1}]],
    }
)
FILE = parquet_files.encode(TABLE)
WHOLE = parquet_files.decode(FILE)


def flipped(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def is_equal_or_named(content: bytes) -> bool:
    try:
        return bool(parquet_files.decode(content).equals(WHOLE, check_metadata=True))
    except CorruptArtefactError:
        return True


def test_every_flipped_bit_is_noticed() -> None:
    """The whole file is covered: pages, their headers, names, types and lengths."""
    assert all(is_equal_or_named(flipped(FILE, bit)) for bit in range(0, 8 * len(FILE), 7))


@given(cut=st.integers(0, len(FILE)), text=st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_cut_and_overwritten_files_are_noticed(cut: int, text: bytes) -> None:
    """A file that ends early, or of which a part was replaced, is whole or named."""
    assert is_equal_or_named(FILE[:cut])
    assert is_equal_or_named(FILE[:cut] + text + FILE[cut + len(text) :])
    assert is_equal_or_named(FILE[:cut] + text + FILE[cut:])


def test_other_programs_read_the_file() -> None:
    """It is ordinary parquet, with page checksums that other programs can verify."""
    assert pq.read_table(io.BytesIO(FILE), page_checksum_verification=True).equals(WHOLE)


def test_equal_tables_are_equal_files() -> None:
    """An asset that computes the same again publishes the same bytes."""
    assert parquet_files.encode(TABLE) == FILE


def old_release(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def test_file_of_an_earlier_release_is_read() -> None:
    """It has no checksums."""
    assert parquet_files.decode(old_release(TABLE)).equals(WHOLE)


@pytest.mark.parametrize("part", range(4))
def test_damage_to_an_old_file_is_no_other_error(tmp_path_factory: pytest.TempPathFactory, part: int) -> None:
    """Where damage can be noticed at all, it is a damaged artefact with the file's name, through the whole store."""
    lake, content = Lake(str(tmp_path_factory.mktemp("lake"))), old_release(TABLE)
    schema = pa.schema([TABLE.schema.field("team"), TABLE.schema.field("at")])
    for bit in range(part, 8 * len(content), 211):
        lake.write_bytes("ratings/a.parquet", flipped(content, bit))
        for read in (lambda: lake.read_table("ratings", "a"), lambda: lake.read_table("ratings", "a", schema=schema)):
            assert succeeds_or_names(read, "ratings/a.parquet"), f"bit {bit}"


def succeeds_or_names(read: Callable[[], pd.DataFrame], path: str) -> bool:
    try:
        read()
    except CorruptArtefactError as error:
        return path in str(error)
    return True
