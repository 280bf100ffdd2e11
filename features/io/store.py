"""The lake: every path, every parquet read and every write, on a folder or on S3-compatible storage.

Publishing is atomic: a reader sees the whole old object or the whole new one. In a folder, a new file is written and
flushed next to the old one, then renamed over it. On S3, an object appears when its upload is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa
from pyarrow import fs

from features.errors import CorruptArtefactError, NotPublishedError, StorageUnavailableError
from features.io import parquet_files
from features.io.s3_objects import S3Objects

ABANDONED_AFTER = 3600
"""Seconds after which an unfinished file is considered abandoned by its writer."""

_LOCK = ".lock"
"""File in a table's folder that a process locks while it replaces a partition; it is not listed, and never deleted."""
_ATTEMPTS = 20
"""How often a change is made again because another writer was faster, before the storage is considered broken."""


def week_of(moment: datetime | date) -> str:
    """Return the Monday of the week, YYYY-MM-DD: the partition key of all weekly tables."""
    day = moment.date() if isinstance(moment, datetime) else moment
    return (day - timedelta(days=day.weekday())).isoformat()


@dataclass(frozen=True)
class Fingerprint:
    """Identifies the content of an object: it changes whenever the object is replaced."""

    modified_ns: int
    size: int
    etag: str = ""
    """Only on S3, whose modification times have whole seconds."""


class Lake:
    """Named tables and documents under one root.

    A table is `<table>/<partition>.parquet`; weekly ones `<table>/week=YYYY-MM-DD.parquet`. Documents are bytes under a
    free path such as `reports/drift/week=2026-03-09/summary.json`.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        if "://" in root:
            self._fs, self._base = fs.FileSystem.from_uri(root)
            self._local = isinstance(self._fs, fs.LocalFileSystem)
        else:
            self._fs, self._base, self._local = fs.LocalFileSystem(), str(Path(root).absolute()), True

    # -- tables -----------------------------------------------------------------------------------------------------

    def write_table(self, name: str, partition: str, frame: pd.DataFrame, schema: pa.Schema | None = None) -> None:
        """Publish one partition of a table, atomically."""
        self.write_bytes(self._table_path(name, partition), _encode(frame, schema))

    def update_table(
        self,
        name: str,
        partition: str,
        change: Callable[[pd.DataFrame], pd.DataFrame | None],
        schema: pa.Schema,
        read_schema: pa.Schema | None = None,
    ) -> None:
        """Replace one partition by what `change` makes of it; no write of another process in between is lost.

        Parameters
        ----------
        change : called with the published partition, empty if there is none; None leaves it as it is. It is called
            again if another process published meanwhile.
        schema : of the partition that is written.
        read_schema : columns that the published partition must have; default: `schema`.
        """
        path, required = self._table_path(name, partition), read_schema or schema

        def rewrite(content: bytes | None) -> bytes | None:
            published = required.empty_table() if content is None else self._decode(path, content, schema=required)
            frame = change(self._to_pandas(path, published))
            return None if frame is None else _encode(frame, schema)

        self.update_bytes(path, rewrite)

    def read_table(
        self, name: str, partition: str, columns: Sequence[str] | None = None, schema: pa.Schema | None = None
    ) -> pd.DataFrame:
        """Read one partition.

        Raises
        ------
        NotPublishedError
            If the partition is not published.
        CorruptArtefactError
            If it cannot be read, or lacks a column of `schema`.
        """
        table = self.read_arrow(name, partition, columns, schema)
        return self._to_pandas(self._table_path(name, partition), table)

    def read_arrow(
        self, name: str, partition: str, columns: Sequence[str] | None = None, schema: pa.Schema | None = None
    ) -> pa.Table:
        """Read one partition as an Arrow table, with a fraction of the memory of `read_table` and the same errors."""
        path = self._table_path(name, partition)
        return self._decode(path, self.read_bytes(path), columns, schema)

    def _decode(
        self, path: str, content: bytes, columns: Sequence[str] | None = None, schema: pa.Schema | None = None
    ) -> pa.Table:
        try:
            table = parquet_files.decode(content, columns)
        except CorruptArtefactError as error:
            raise CorruptArtefactError(f"{self.root}/{path}: {error}") from error
        return table if schema is None else self._cast_to_schema(table, schema, path, whole=columns is None)

    def _to_pandas(self, path: str, table: pa.Table) -> pd.DataFrame:
        try:
            frame: pd.DataFrame = table.to_pandas()
        except Exception as error:  # damaged types and metadata raise KeyError, TypeError and others
            raise CorruptArtefactError(f"{self.root}/{path} is not readable as a table: {error}") from error
        return frame

    def _cast_to_schema(self, table: pa.Table, schema: pa.Schema, path: str, whole: bool) -> pa.Table:
        """Cast a table to the schema; raises CorruptArtefactError if a column is missing or cannot be cast."""
        advice = f"it was written by another release; materialise {path.partition('/')[0]!r} again"
        if whole and (missing := sorted(set(schema.names) - set(table.column_names))):
            raise CorruptArtefactError(f"{self.root}/{path} lacks {missing}: {advice}")
        try:
            for name in set(schema.names) & set(table.column_names):
                if table.schema.field(name).type != schema.field(name).type:
                    column = table[name].cast(schema.field(name).type)
                    table = table.set_column(table.column_names.index(name), schema.field(name), column)
        except (pa.ArrowException, ValueError, KeyError) as error:  # KeyError: the name occurs twice
            raise CorruptArtefactError(
                f"{self.root}/{path}: column {name!r} has another type ({error}); {advice}"
            ) from error
        return table

    def partitions(self, name: str) -> list[str]:
        """List the published partition keys of a table, sorted."""
        return sorted(
            Path(file).stem.removeprefix("week=")
            for file in self.list(name)
            if file.endswith(".parquet") and "/" not in file
        )

    def table_fingerprint(self, name: str, partition: str) -> Fingerprint | None:
        """Return the fingerprint of a partition without reading it; None if it is not published."""
        return self.fingerprint(self._table_path(name, partition))

    # -- documents --------------------------------------------------------------------------------------------------

    def write_bytes(self, path: str, content: bytes) -> None:
        """Publish one object, atomically."""
        if not self._local:
            with self._fs.open_output_stream(f"{self._base}/{path}") as sink:
                sink.write(content)
            return
        target = Path(self._base, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        temporary = target.with_name(f".{target.name}.{uuid4().hex}")
        try:
            with temporary.open("xb") as sink:
                sink.write(content)
                sink.flush()
                os.fsync(sink.fileno())
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            reason = f"{error.strerror}: {self.root}/{path} was not published; what was published before is unchanged"
            raise OSError(error.errno, reason) from error
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def update_bytes(self, path: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace one object by what `change` makes of its content; no write of another process in between is lost.

        `change` gets None if the object does not exist, and returns None to leave it as it is. In a folder, writers
        wait for each other. On S3, `change` is called again if another writer was faster.
        """
        if self._local:
            with self._locked_folder(path):
                content = change(self.read_bytes(path) if self.fingerprint(path) else None)
                if content is not None:
                    self.write_bytes(path, content)
            return
        objects = S3Objects(self.root, self._fs.region)
        for _ in range(_ATTEMPTS):
            before, etag = objects.read(path)
            content = change(before)
            if content is None or objects.replace(path, content, etag):
                return
        raise StorageUnavailableError(
            f"{self.root}/{path} was changed by others {_ATTEMPTS} times while it was written"
        )

    @contextlib.contextmanager
    def _locked_folder(self, path: str) -> Iterator[None]:
        """Hold the lock of an object's folder, which ends with the process."""
        lock = Path(self._base, path).parent / _LOCK
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def read_bytes(self, path: str) -> bytes:
        """Read one object. Raises NotPublishedError if it is absent, StorageUnavailableError if storage fails."""
        try:
            with self._translate_errors(), self._fs.open_input_file(f"{self._base}/{path}") as source:
                return bytes(source.read())
        except FileNotFoundError as error:
            raise NotPublishedError(f"{path} is not published yet; run the pipeline first") from error

    def write_json(self, path: str, document: dict[str, Any]) -> None:
        """Publish a JSON document, atomically."""
        self.write_bytes(path, json.dumps(document, indent=2, sort_keys=True, default=str).encode())

    def read_json(self, path: str) -> dict[str, Any]:
        """Read a JSON document; raises NotPublishedError or CorruptArtefactError."""
        content = self.read_bytes(path)
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise CorruptArtefactError(f"{self.root}/{path} is not readable as JSON: {error}") from error
        if not isinstance(document, dict):
            raise CorruptArtefactError(
                f"{self.root}/{path} is not a report: expected a JSON object, not {type(document).__name__}"
            )
        return document

    def fingerprint(self, path: str) -> Fingerprint | None:
        """Return the fingerprint of an object without reading it; None if it does not exist."""
        if not self._local:
            return self._fingerprint_of_object(path)
        with self._translate_errors():
            info = self._fs.get_file_info(f"{self._base}/{path}")
        return None if info.type == fs.FileType.NotFound else Fingerprint(info.mtime_ns or 0, info.size or 0)

    def _fingerprint_of_object(self, path: str) -> Fingerprint | None:
        """Send one HEAD request, like `get_file_info`, but read the ETag too."""
        try:
            with self._translate_errors(), self._fs.open_input_file(f"{self._base}/{path}") as source:
                metadata, size = source.metadata(), source.size()
        except FileNotFoundError:
            return None
        return Fingerprint(pd.Timestamp(metadata["Last-Modified"].decode()).value, size, metadata["ETag"].decode())

    def list(self, folder: str) -> list[str]:
        """List the paths of all finished objects below a folder, relative to it."""
        base = f"{self._base}/{folder}"
        with self._translate_errors():
            infos = self._fs.get_file_info(fs.FileSelector(base, allow_not_found=True, recursive=True))
        names = [info.path.removeprefix(base).lstrip("/") for info in infos if info.type == fs.FileType.File]
        return sorted(name for name in names if not Path(name).name.startswith("."))

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate storage failures to StorageUnavailableError; FileNotFoundError is raised unchanged."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageUnavailableError(f"{self.root} cannot be read: {error}") from error

    @staticmethod
    def _table_path(name: str, partition: str) -> str:
        weekly = len(partition) == 10 and partition[4] == "-" and partition[:4].isdigit()
        return f"{name}/{'week=' if weekly else ''}{partition}.parquet"


def _encode(frame: pd.DataFrame, schema: pa.Schema | None) -> bytes:
    return parquet_files.encode(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))


def _remove_abandoned(target: Path) -> None:
    """Delete unfinished files of writers that were killed; no write takes an hour."""
    for unfinished in target.parent.glob(f".{target.name}.*"):
        with contextlib.suppress(FileNotFoundError):  # another writer may be cleaning up too
            if time.time() - unfinished.stat().st_mtime > ABANDONED_AFTER:
                unfinished.unlink()
