"""The run history of a local run keeps Dagster's files and is seen by every process."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from pathlib import Path

import dagster as dg
import pytest

from orchestration.dagster_instance_settings import InstanceSettings
from orchestration.local.instance import prepare_instance
from orchestration.local.run_history import MAX_OPEN_FILES, Engines, EventLog, Runs, Schedules


@dg.asset
def table() -> int:
    """An asset without inputs."""
    return 1


@dg.op
def greet() -> None:
    """An op that does nothing."""


@dg.job
def greeting() -> None:
    """A job of one op."""
    greet()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A prepared Dagster home."""
    return prepare_instance(InstanceSettings(home=tmp_path))


def test_history_written_by_dagsters_storage_is_read(tmp_path: Path, home: Path) -> None:
    """Names and format of the files are Dagster's own, in both directions."""
    with dg.DagsterInstance.local_temp(str(home)) as plain:
        first = dg.materialize([table], instance=plain).run_id
    with dg.DagsterInstance.from_config(str(home)) as instance:
        second = dg.materialize([table], instance=instance).run_id
        assert {run.run_id for run in instance.get_runs()} == {first, second}
        assert len(instance.fetch_materializations(table.key, 10).records) == 2
    with dg.DagsterInstance.local_temp(str(home)) as plain:
        assert {run.run_id for run in plain.get_runs()} == {first, second}
        assert len(plain.all_logs(second)) == len(plain.all_logs(first))


def test_local_run_uses_this_storage_without_waiting_for_the_disk(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        assert isinstance(instance.schedule_storage, Schedules)
        assert isinstance(instance.run_storage, Runs)
        with instance.run_storage.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1, "NORMAL"


def test_events_are_seen_by_a_process_that_watches_the_run(home: Path) -> None:
    """The pages of Dagster follow a run that another process writes, while both keep their connections."""
    seen, done = [], threading.Event()

    def note(entry: dg.EventLogEntry, _: str) -> None:
        seen.append(entry)
        if entry.dagster_event_type == dg.DagsterEventType.PIPELINE_SUCCESS:
            done.set()

    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.from_config(str(home)) as pages, dg.DagsterInstance.from_config(str(home)) as writer:
        pages.event_log_storage.get_logs_for_run(run_id)
        pages.watch_event_logs(run_id, None, note)
        assert greeting.execute_in_process(instance=writer, run_id=run_id).success
        assert done.wait(30), f"{len(seen)} events were seen"
        pages.end_watch_event_logs(run_id, note)


def test_connections_of_old_files_are_closed(tmp_path: Path) -> None:
    engines = Engines()
    addresses = [f"sqlite:///{tmp_path}/{number}.db" for number in range(MAX_OPEN_FILES + 3)]
    for address in addresses:
        with engines.of(address).begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
    open_logs = {path.name for path in tmp_path.glob("*.db-wal")}
    assert len(open_logs) == MAX_OPEN_FILES, "SQLite removes the log of a file with its last connection"
    engines.close()
    assert not list(tmp_path.glob("*.db-wal"))
    assert sqlite3.connect(tmp_path / "0.db").execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_storage_in_postgresql_stays_a_setting(tmp_path: Path) -> None:
    settings = InstanceSettings(home=tmp_path, dagster_storage_url="postgresql://postgres@127.0.0.1/dagster")
    assert "RunHistory" not in (prepare_instance(settings) / "dagster.yaml").read_text()
