"""Dagster's own processes on an installation: its daemon, and its pages with what their buttons send."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import psutil
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus

PATIENCE = 600
"""Seconds that a start may take; a backfill gets more, for each of its runs."""

A_RUN = 60
"""Seconds that a run may take, including the start of its process; on two idle cores it takes eight."""

LAUNCH = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


def environment(settings: Any, repository: Path) -> dict[str, str]:
    """The environment of every process that works on an installation."""
    return {
        **os.environ,
        "PYTHONPATH": str(repository),
        "DAGSTER_HOME": str(settings.home / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "TOUCHLINE_HOME": str(settings.home),
        "TOUCHLINE_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "TOUCHLINE_PROMOTION_POLICY": settings.promotion_policy.value,
    }


@contextmanager
def process(here: Any, repository: Path, name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process on our workspace until the block ends, then stop it and its children; it writes to `<name>.log`."""
    with (here.settings.home / f"{name}.log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", *command, "-w", str(repository / "workspace.yaml")],
            env=environment(here.settings, repository),
            cwd=repository,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield started
        finally:
            end(started)


def end(started: subprocess.Popen[bytes]) -> None:
    """End a process and everything it has started."""
    mine = [psutil.Process(started.pid), *psutil.Process(started.pid).children(recursive=True)]
    for child in mine:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended since
            child.terminate()
    _, alive = psutil.wait_procs(mine, 20)
    for child in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def daemon(here: Any, repository: Path) -> Any:
    """Dagster's daemon."""
    return process(here, repository, "daemon", "dagster._daemon", "run")


def log_of(here: Any, name: str) -> str:
    """The last lines of a process's log."""
    return str((here.settings.home / f"{name}.log").read_text()[-3000:])


@dataclass(frozen=True)
class Pages:
    """Dagster's pages with their buttons for a backfill; each returns the id of the backfill that it launched."""

    port: int

    def of_assets(self, assets: Sequence[str], weeks: Sequence[str]) -> str:
        """Send what "Materialize" sends on the page of an asset, or of several in the lineage."""
        return self._launch(assets, weeks)

    def of_job(self, job: str, assets: Sequence[str], weeks: Sequence[str]) -> str:
        """Send what "Materialize all" or "Materialize selected" sends on the page of a job."""
        where = {"repositoryLocationName": "touchline", "repositoryName": "__repository__"}
        return self._launch(
            assets, weeks, selector={"partitionSetName": f"{job}_partition_set", "repositorySelector": where}
        )

    def _launch(self, assets: Sequence[str], weeks: Sequence[str], **options: Any) -> str:
        launch = {"assetSelection": [{"path": [asset]} for asset in assets], "partitionNames": list(weeks), **options}
        body = {"query": LAUNCH, "variables": {"params": {**launch, "fromFailure": False, "tags": []}}}
        answer = httpx.post(f"http://127.0.0.1:{self.port}/graphql", json=body, timeout=60).json()
        launched = answer["data"]["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])


@contextmanager
def pages(here: Any, repository: Path, port: int) -> Iterator[Pages]:
    """Dagster's pages on a port, once they answer."""
    where = ("dagster_webserver", "-h", "127.0.0.1", "-p", str(port))
    with process(here, repository, "webserver", *where) as webserver:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            assert webserver.poll() is None, log_of(here, "webserver")
            assert time.monotonic() < deadline, log_of(here, "webserver")
            time.sleep(0.5)
        yield Pages(port)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def completed(here: Any, repository: Path, backfill: str, expected: int) -> list[dg.DagsterRun]:
    """Let the daemon work until a backfill is done; return its runs and require the `expected` number."""
    with here.instance() as instance, daemon(here, repository) as running:
        deadline = time.monotonic() + PATIENCE + A_RUN * expected
        while (status := instance.get_backfill(backfill).status) not in BULK_ACTION_TERMINAL_STATUSES:
            assert running.poll() is None, log_of(here, "daemon")
            assert time.monotonic() < deadline, log_of(here, "daemon")
            time.sleep(1)
        runs = list(instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill})))
    assert status is BulkActionStatus.COMPLETED_SUCCESS, log_of(here, "daemon")
    assert len(runs) == expected
    assert all(run.is_success for run in runs)
    return runs
