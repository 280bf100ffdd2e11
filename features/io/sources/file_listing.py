"""Files of the user's folder: those that are read, and those that are passed over, with the reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from features.errors import SourceError

READ_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".zip", ".csv.gz", ".tsv.gz", ".txt.gz")
MAX_FILES = 1000
MAX_FILE_BYTES = 256_000_000


class FileListing(NamedTuple):
    """Files by name, which for those in sub-folders contains the folder, and one sentence for each other file."""

    files: dict[str, Path]
    passed_over: list[str]


def list_files(setting: Path | None) -> FileListing:
    """List the files that the setting TOUCHLINE_FILES names, sorted.

    Raises
    ------
    SourceError
        If the setting is missing or leads to no CSV or parquet file.
    """
    if setting is None:
        raise SourceError("source `files` needs TOUCHLINE_FILES: a CSV or parquet file, or a folder of them")
    if setting.is_file():
        return FileListing({setting.name: setting}, [])
    if not setting.is_dir():
        raise SourceError(f"{setting} is neither a CSV or parquet file nor a folder with one")
    listing = _walk(setting)
    if not listing.files:
        others = f"; it has {', '.join(listing.passed_over[:10])}" if listing.passed_over else ""
        raise SourceError(f"{setting} is neither a CSV or parquet file nor a folder with one{others}")
    return listing


def _walk(folder: Path) -> FileListing:
    files: dict[str, Path] = {}
    passed_over: list[str] = []
    for root, folders, names in os.walk(folder):  # does not follow links to folders
        for name in sorted(folders):
            if reason := _reason_against_folder(Path(root) / name):
                folders.remove(name)
                passed_over.append(f"{_name(folder, Path(root) / name)}: {reason}")
        folders.sort()
        for name in sorted(names):
            path = Path(root) / name
            if reason := _reason_against(path):
                passed_over.append(f"{_name(folder, path)}: {reason}")
            else:
                files[_name(folder, path)] = path
        if len(files) + len(passed_over) > MAX_FILES:
            raise SourceError(f"{folder} has more than {MAX_FILES} files; name a folder with your matches only")
    return FileListing(dict(sorted(files.items())), passed_over)


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _reason_against_folder(path: Path) -> str:
    if path.name.startswith(".") or path.name == "__MACOSX":
        return "a hidden folder"
    if path.is_symlink():
        return "a link to a folder"
    return "a folder, named like a file" if path.name.lower().endswith(READ_SUFFIXES) else ""


def _reason_against(path: Path) -> str:
    """Return why a file is passed over; empty if it is to be read."""
    if path.name.startswith("."):
        return "a hidden file"
    if not path.name.lower().endswith(READ_SUFFIXES):
        return "not a CSV or parquet file"
    return "" if path.is_file() else "no regular file"


def read_file(path: Path) -> bytes:
    """Read a file of at most `MAX_FILE_BYTES`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if len(content) > MAX_FILE_BYTES:
        raise SourceError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes; split it")
    return content
