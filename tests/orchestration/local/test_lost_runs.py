"""Runs of Dagster whose process is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from orchestration._dagster_internals import LAUNCHED
from orchestration.local.lost_runs import end_lost_runs

LATER = datetime.now(UTC) + timedelta(hours=1)


@dg.asset(pool="promotion")
def table() -> None:
    """An asset that holds a place in a pool while it runs."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


def killed_run(instance: dg.DagsterInstance, **tags: str) -> str:
    """A run as a killed process leaves it: started, and in possession of the pool."""
    graph = dg.Definitions([table]).resolve_asset_graph()
    job = dg.define_asset_job("update_table", [table]).resolve(asset_graph=graph)
    run = instance.create_run_for_job(job, tags=tags)
    instance.handle_new_event(started(run.run_id))
    instance.event_log_storage.set_concurrency_slots("promotion", 1)
    assert instance.event_log_storage.claim_concurrency_slot("promotion", run.run_id, "table").is_claimed
    return run.run_id


def started(run_id: str) -> dg.EventLogEntry:
    event = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_START.value, "update_table", message="started")
    return dg.EventLogEntry(
        error_info=None, level=20, user_message="", run_id=run_id, timestamp=datetime.now(UTC).timestamp(),
        job_name="update_table", dagster_event=event,
    )  # fmt: skip


def test_run_of_a_dead_process_is_ended_and_frees_its_pool(instance: dg.DagsterInstance) -> None:
    """Runs behind it in the queue can start; the run says why it failed."""
    run_id = killed_run(instance)
    assert end_lost_runs(instance, LATER) == ["update_table"]
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert instance.event_log_storage.get_concurrency_info("promotion").active_slot_count == 0
    assert end_lost_runs(instance, LATER) == []


def test_run_that_began_later_goes_on(instance: dg.DagsterInstance) -> None:
    """It belongs to a process that is alive."""
    killed_run(instance)
    assert end_lost_runs(instance, datetime.now(UTC) - timedelta(hours=1)) == []


def test_runs_of_other_processes_outlive_the_code_server(instance: dg.DagsterInstance) -> None:
    """Only runs that it executed died with it."""
    killed_run(instance)
    assert end_lost_runs(instance, LATER, only_launched=True) == []
    with dg.instance_for_test() as other:
        killed_run(other, **{LAUNCHED: "{}"})
        assert end_lost_runs(other, LATER, only_launched=True) == ["update_table"]
