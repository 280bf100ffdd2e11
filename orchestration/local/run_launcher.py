"""Dagster's run launcher of a local run, which also says whether the process of a run is alive.

Dagster's run monitoring, part of its daemon, asks it every minute. A run whose process was killed would stay in
progress for ever otherwise, and others would wait behind it.
"""

from __future__ import annotations

import dagster as dg
import psutil

from orchestration._dagster_internals import CheckRunHealthResult, WorkerStatus, processes_of_run
from orchestration.local.lost_runs import REASON


class LocalRunLauncher(dg.DefaultRunLauncher):
    """Launches runs in the code server, and finds those whose process has ended."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks only a launcher that says so."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED if no process that has worked on a run is alive; a run that names no process is running."""
        alive = [_is_alive(pid, seen_at) for pid, seen_at in processes_of_run(self._instance, run.run_id)]
        status = WorkerStatus.FAILED if alive and not any(alive) else WorkerStatus.RUNNING
        return CheckRunHealthResult(status, REASON if status is WorkerStatus.FAILED else None)

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:  # noqa: ARG002 - of the base class
        """Return the reason for the failure of a run whose process has ended."""
        return self.check_run_worker_health(run).msg


def _is_alive(pid: int, seen_at: float) -> bool:
    """Whether a process that was alive at a time still is; a later process may have got its number."""
    try:
        process = psutil.Process(pid)
        return process.create_time() <= seen_at + 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
