"""Dagster's run history of a local run: the SQLite files of Dagster's default storage, written faster.

Dagster opens a new connection for each of the hundreds of events of a run, and SQLite waits for the disk at each commit
and at each last close of a file. Here connections stay open and SQLite's write-ahead log is synced at checkpoints only
(`synchronous=NORMAL`): a power cut may lose the last events of a run, but cannot damage the files. Names and format of
the files are Dagster's own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    SqliteEventLogStorage,
    SqliteEventLogStorageWatchdog,
)
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy import Connection, Engine, create_engine, event
from watchdog.events import FileSystemEvent
from watchdog.observers import Observer

MAX_OPEN_FILES = 8
"""Files whose connections stay open: the index and those of the runs that were used last."""


class Engines:
    """One engine for each SQLite file; the one that was not used for longest is closed when there are too many."""

    def __init__(self) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()

    def of(self, address: str) -> Engine:
        """Return the engine of a file, given as a URL of SQLAlchemy."""
        if address not in self._engines:
            engine = create_engine(address, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
            event.listen(engine, "connect", _configure)
            self._engines[address] = engine
            if len(self._engines) > MAX_OPEN_FILES:
                self._engines.popitem(last=False)[1].dispose()
        self._engines.move_to_end(address)
        return self._engines[address]

    def close(self) -> None:
        """Close all connections."""
        while self._engines:
            self._engines.popitem()[1].dispose()


def _configure(connection: Any, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


class EventLog(SqliteEventLogStorage):
    """Dagster's event log, with one file per run, over connections that stay open."""

    _obs: Any

    def __init__(self, base_dir: str) -> None:
        self._engines = Engines()
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engines.of(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def watch(self, run_id: str, cursor: str | None, callback: Callable[[dg.EventLogEntry, str], None]) -> None:
        """Call back for each event of a run, until `end_watch`."""
        if not self._obs:
            self._obs = Observer()
            self._obs.start()
        watchdog = Watchdog(self, run_id, callback, cursor)
        self._watchers[run_id][callback] = (watchdog, self._obs.schedule(watchdog, self._base_dir, recursive=True))

    def dispose(self) -> None:
        """Close all connections."""
        super().dispose()
        self._engines.close()


class Watchdog(SqliteEventLogStorageWatchdog):
    """Notices new events in the write-ahead log too: while connections stay open, the file itself changes rarely."""

    @property
    def patterns(self) -> list[str]:
        """Files to watch."""
        return [self._log_path, f"{self._log_path}-wal"]

    def on_modified(self, event: FileSystemEvent) -> None:  # noqa: ARG002 - the interface of watchdog
        """Read the new events."""
        self._process_log()


class _OneFile:
    """Transactions of a storage that has one file, over connections that stay open."""

    _conn_string: str

    @cached_property
    def _engines(self) -> Engines:
        return Engines()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a transaction."""
        with self._engines.of(self._conn_string).begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close all connections."""
        self._engines.close()


class Runs(_OneFile, SqliteRunStorage):
    """Dagster's table of runs."""


class Schedules(_OneFile, SqliteScheduleStorage):
    """Dagster's ticks of schedules and sensors."""


class RunHistory(DagsterSqliteStorage):
    """The storage that dagster.yaml of a local run names."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]  # its own constructor would open Dagster's storages
        history = Path(base_dir) / "history"
        self.base_dir, self._inst_data = base_dir, inst_data
        self._run_storage = Runs.from_local(f"{history}/")
        self._event_log_storage = EventLog(f"{history}/runs/")
        self._schedule_storage = Schedules.from_local(str(Path(base_dir) / "schedules"))

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> RunHistory:
        """Build the storage from its section in dagster.yaml."""
        return cls.from_local(inst_data=inst_data, **config_value)
