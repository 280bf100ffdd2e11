"""Tables as parquet files in which damage is detected.

Parquet's page checksums cover the data, but neither its footer (names, types, row counts) nor its page headers: of 400
flipped bits, a tenth changed values or names without an error. A checksum of the whole file therefore lies between the
last page and the footer, where parquet readers do not look. Files of earlier releases have no checksums; they are read
as far as they can be decoded.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import CorruptArtefactError

_MARK = b"touchline-crc32="
"""Precedes the checksum. Pages are compressed and keep no text of 16 bytes; the footer has names and statistics."""
_CHECKSUM_BYTES = 4
_TRAILER_BYTES = 8
"""Length of the footer and parquet's signature, at the end of every file."""


def encode(table: pa.Table) -> bytes:
    """Return a table as a parquet file with its checksums."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    content = sink.getvalue()
    footer_bytes = int.from_bytes(content[-_TRAILER_BYTES : -_TRAILER_BYTES // 2], "little")
    end_of_pages = len(content) - _TRAILER_BYTES - footer_bytes
    checksum = zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "little")
    return content[:end_of_pages] + _MARK + checksum + content[end_of_pages:]


def decode(content: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the table of a parquet file; raises CorruptArtefactError with the reason if the file is damaged."""
    has_checksum = _verify(content)
    try:
        table = pq.read_table(
            io.BytesIO(content), columns=list(columns) if columns else None, page_checksum_verification=True
        )
        if not has_checksum:
            table.schema.to_string()  # decodes every name
            table.validate(full=True)
        return table
    except Exception as error:  # Arrow raises a dozen classes for damaged files, KeyError and MemoryError among them
        raise CorruptArtefactError(f"it is not readable as parquet: {error}") from error


def _verify(content: bytes) -> bool:
    """Compare the whole file with its checksum; returns False if it has none."""
    start = content.rfind(_MARK)
    if start < 0:
        return False
    end = start + len(_MARK) + _CHECKSUM_BYTES
    stored = int.from_bytes(content[end - _CHECKSUM_BYTES : end], "little")
    if zlib.crc32(content[end:], zlib.crc32(content[:start])) != stored:
        raise CorruptArtefactError("it was damaged after it was written: its checksum differs")
    return True
