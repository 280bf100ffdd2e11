"""A run whose pod cannot be placed says so in its own events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from orchestration.pending_pods import REPORT_AFTER, report_pending
from tests.support.pod_launcher import PodLauncher

UNSCHEDULABLE = "Warning events for pod:\n    FailedScheduling: 0/1 nodes: 1 Insufficient cpu. (x{} in {}s)"


@dg.job
def refresh() -> None:
    """A job without steps."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    launcher = {"module": PodLauncher.__module__, "class": PodLauncher.__name__}
    with dg.instance_for_test({"run_launcher": launcher}) as instance:
        yield instance


def _reported(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    entries = instance.all_logs(run.run_id)
    return [entry.dagster_event.message or "" for entry in entries if entry.dagster_event is not None]


def test_each_reason_is_reported_once_in_the_run_it_holds_up(instance: dg.DagsterInstance) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, PodLauncher)
    run, other = (instance.create_run_for_job(refresh, status=dg.DagsterRunStatus.STARTING) for _ in range(2))
    launcher.reasons[run.run_id] = UNSCHEDULABLE.format(1, 5)
    now = datetime.now(UTC)
    assert report_pending(instance, {}, now) == {}, "a pod may take some seconds"
    assert _reported(instance, run) == []

    later = now + REPORT_AFTER + timedelta(seconds=1)
    pending = report_pending(instance, {}, later)
    assert set(pending) == {run.run_id, other.run_id}
    (message,) = _reported(instance, run)
    assert message.startswith("The pod of this run has not started yet.\n")
    assert "Insufficient cpu" in message
    assert _reported(instance, other) == []

    launcher.reasons[run.run_id] = UNSCHEDULABLE.format(7, 65)  # the same reason, counted again
    pending = report_pending(instance, pending, later)
    assert len(_reported(instance, run)) == 1
    launcher.reasons[run.run_id] = "Pod status: Pending\n    ErrImagePull: not found"
    report_pending(instance, pending, later)
    assert len(_reported(instance, run)) == 2


def test_a_run_that_has_started_is_not_asked_about(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(refresh, status=dg.DagsterRunStatus.STARTED)
    assert isinstance(instance.run_launcher, PodLauncher)
    instance.run_launcher.reasons[run.run_id] = "out of date"
    assert report_pending(instance, {run.run_id: "0"}, datetime.now(UTC) + timedelta(hours=1)) == {}
    assert _reported(instance, run) == []


def test_where_runs_are_not_pods_nothing_is_reported() -> None:
    with dg.instance_for_test() as instance:
        run = instance.create_run_for_job(refresh, status=dg.DagsterRunStatus.STARTING)
        assert set(report_pending(instance, {}, datetime.now(UTC) + timedelta(hours=1))) == {run.run_id}
        assert _reported(instance, run) == []
