"""Ends Dagster runs whose process is gone. They would stay in progress for ever, and others would wait behind them.

Command: `python -m orchestration.local.lost_runs 2026-03-13T12:00:00+00:00`, for runs that began before that time.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import dagster as dg

from orchestration._dagster_internals import LAUNCHED, free_pool_slots
from orchestration.dagster_instance_settings import InstanceSettings
from orchestration.local.instance import prepare_instance

IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
REASON = "the process that executed this run has ended; launch the job again"


def end_lost_runs(instance: dg.DagsterInstance, before: datetime, only_launched: bool = False) -> list[str]:
    """Mark the runs in progress that began before a time as failed, and free their pools; returns their jobs.

    With `only_launched`, runs that `touchline up` or `touchline advance` execute in their own process go on.
    """
    ended = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=IN_PROGRESS)):
        run = record.dagster_run
        began_at = record.start_time or record.create_timestamp.timestamp()
        if began_at >= before.timestamp() or (only_launched and LAUNCHED not in run.tags):
            continue
        instance.report_run_failed(run, REASON)
        free_pool_slots(instance, run.run_id)
        ended.append(run.job_name)
    return ended


def main(arguments: list[str]) -> int:
    """End the runs that began before the time of the first argument; `--launched` for launched ones only."""
    settings = InstanceSettings()
    if settings.dagster_storage_url:  # others may share the database, and their processes are not ours to judge
        return 0
    before = datetime.fromisoformat(arguments[0]).astimezone(UTC)
    with dg.DagsterInstance.from_config(str(prepare_instance(settings))) as instance:
        for job in end_lost_runs(instance, before, "--launched" in arguments):
            sys.stdout.write(f"a run of {job} was ended: its process is gone\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
