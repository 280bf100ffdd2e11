"""Compressed files: gzip and zip are unpacked by their content, whatever their name, and never beyond a limit."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import NamedTuple

from features.errors import SourceError

MAX_BYTES = 64_000_000
"""Largest text of a table: international results since 1872 have 4 MB."""

MAX_MEMBERS = 1000
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")


class Unpacked(NamedTuple):
    """One table of a file, before it is parsed."""

    file: str
    data: bytes


def unpack(file: str, data: bytes) -> tuple[list[Unpacked], list[str]]:
    """Unpack a file: its tables, and a sentence for each member of an archive that is passed over.

    Raises
    ------
    SourceError
        If the file is damaged, too large when unpacked, a spreadsheet, or an archive without a table.
    """
    if data[:2] == b"\x1f\x8b":
        return [Unpacked(file, _gunzip(file, data))], []
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _unzip(file, data)
    if data[:4] == b"\xd0\xcf\x11\xe0":
        raise SourceError(f"{file} is a spreadsheet or another Office document; save the sheet as CSV")
    if len(data) > MAX_BYTES and data[:4] != b"PAR1":
        raise SourceError(f"{file} is larger than {MAX_BYTES:,} bytes; split it")
    return [Unpacked(file, data)], []


def _gunzip(file: str, data: bytes) -> bytes:
    """Unpack all members of a gzip file, at most `MAX_BYTES` in all."""
    out = bytearray()
    try:
        while data:
            stream = zlib.decompressobj(wbits=31)
            out += stream.decompress(data, MAX_BYTES + 1 - len(out))
            if len(out) > MAX_BYTES:
                raise SourceError(f"{file} is larger than {MAX_BYTES:,} bytes when unpacked; split it")
            if not stream.eof:
                raise SourceError(f"{file} is a gzip file that was cut off")
            data = stream.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise SourceError(f"{file} is a damaged gzip file: {error}") from error
    return bytes(out)


def _unzip(file: str, data: bytes) -> tuple[list[Unpacked], list[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if any(member.filename == "[Content_Types].xml" for member in members):
                raise SourceError(f"{file} is a spreadsheet or another Office document; save the sheet as CSV")
            if len(members) > MAX_MEMBERS:
                raise SourceError(f"{file} has {len(members)} members, more than {MAX_MEMBERS}; split it")
            return _members(file, archive, members)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise SourceError(f"{file} is a zip archive that cannot be read: {error}") from error


def _members(file: str, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> tuple[list[Unpacked], list[str]]:
    tables: list[Unpacked] = []
    passed_over: list[str] = []
    left = MAX_BYTES
    for member in members:
        path = PurePosixPath(member.filename)
        if member.is_dir():
            continue
        if path.name.startswith(".") or "__MACOSX" in path.parts or path.suffix.lower() not in TABLE_SUFFIXES:
            passed_over.append(f"{file}/{member.filename}: not a CSV or parquet file")
            continue
        with archive.open(member) as stream:
            content = stream.read(left + 1)
        left -= len(content)
        if left < 0:
            raise SourceError(f"{file} is larger than {MAX_BYTES:,} bytes when unpacked; split it")
        tables.append(Unpacked(f"{file}/{member.filename}", content))
    if not tables:
        raise SourceError(f"{file} is a zip archive without a CSV or parquet file")
    return tables, passed_over
