"""The launcher of a local run finds runs whose process has ended, and run monitoring ends them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import dagster as dg
import psutil
import pytest
from dagster._core.events import EngineEventData
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from orchestration._dagster_internals import WorkerStatus, processes_of_run
from orchestration.dagster_instance_settings import InstanceSettings
from orchestration.local.instance import prepare_instance
from orchestration.local.lost_runs import REASON
from orchestration.local.run_launcher import LocalRunLauncher


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a local run."""
    with dg.DagsterInstance.from_config(str(prepare_instance(InstanceSettings(home=tmp_path)))) as made:
        assert isinstance(made.run_launcher, LocalRunLauncher)
        yield made


def ended_process() -> int:
    """The number of a process that was killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.kill()
    process.communicate()
    return process.pid


def started_run(instance: dg.DagsterInstance, *pids: int) -> dg.DagsterRun:
    """A run in progress that these processes worked on."""
    run = instance.create_run_for_job(dg.GraphDefinition(name="update_table").to_job())
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name), run.run_id)
    for pid in pids:
        instance.report_engine_event("working", run, EngineEventData.in_process(pid))
    return run


def monitor(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    """Let Dagster's run monitoring look at a run once."""
    record = instance.get_run_record_by_id(run.run_id)
    assert record is not None
    monitor_started_run(instance, cast(Any, None), record, logging.getLogger("monitoring"))
    monitored = instance.get_run_by_id(run.run_id)
    assert monitored is not None
    return monitored


def test_run_of_an_ended_process_is_ended_with_the_reason(instance: dg.DagsterInstance) -> None:
    run = started_run(instance, ended_process(), ended_process())
    assert monitor(instance, run).status is dg.DagsterRunStatus.FAILURE
    assert any(REASON in entry.message for entry in instance.all_logs(run.run_id))


@pytest.mark.parametrize("pids", [(), (os.getpid(),), (os.getpid(), 2**22)], ids=["unknown", "alive", "partly alive"])
def test_run_whose_process_may_be_alive_goes_on(instance: dg.DagsterInstance, pids: tuple[int, ...]) -> None:
    """A step's own process ends before the run does."""
    assert monitor(instance, started_run(instance, *pids)).status is dg.DagsterRunStatus.STARTED


def test_later_process_with_the_same_number_is_another(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system gives numbers of ended processes to new ones."""
    run = started_run(instance, os.getpid())
    later = (datetime.now(UTC) + timedelta(hours=1)).timestamp()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: later)
    assert monitor(instance, run).status is dg.DagsterRunStatus.FAILURE


def test_runs_name_their_process(instance: dg.DagsterInstance) -> None:
    """Both the process of the run and those of its steps are in its log."""
    seen = list[int]()

    @dg.op
    def look(context):
        seen.extend(pid for pid, _ in processes_of_run(context.instance, context.run_id))
        assert instance.run_launcher.check_run_worker_health(context.run).status is WorkerStatus.RUNNING

    @dg.job
    def update_table() -> None:
        look()

    assert update_table.execute_in_process(instance=instance).success
    assert set(seen) == {os.getpid()}
