"""Real processes: the daemon whose sensor ticks, whose run starts, that moves the alias; and two that race for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import httpx
import pandas as pd
import psutil
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from features.io.registry import PREVIOUS, PRODUCTION
from monitoring.gate import Policy
from orchestration.definitions import build
from orchestration.partitions import RANGE_END, RANGE_START, weeks
from orchestration.promotion import history

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]
PATIENCE = 600
COMPLETED = BulkActionStatus.COMPLETED_SUCCESS


@contextmanager
def daemon(settings, repository: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's daemon with our workspace, and everything it starts, until the test is over."""
    with (settings.home / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-w", str(repository / "workspace.yaml")],
            env=environment(settings, repository),
            cwd=repository,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything it has started."""
    mine = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in mine:
        one.terminate()
    _, alive = psutil.wait_procs(mine, 20)
    for one in alive:
        one.kill()


@pytest.fixture
def copied(installed, tmp_path: Path):
    """A copy of the installation that a test may change."""
    home = tmp_path / "home"
    shutil.copytree(installed.settings.home, home)
    settings = installed.settings.model_copy(
        update={"home": home, "mlflow_tracking_uri": f"sqlite:///{home}/mlflow.db", "promotion_policy": Policy.AUTO}
    )
    return type(installed)(settings)


@pytest.fixture
def open_gate(copied):
    """An installation in which version 2 is staged and nothing is shut."""
    here = copied
    definitions = build(here.settings)
    config = {"ops": {"outcome_model": {"config": {"regularisation": 0.11, "reason": "test"}}}}
    weeks = {RANGE_START: "2025-08-11", RANGE_END: "2026-03-09"}
    with here.instance() as instance:
        for job, options in (
            ("train_model", {"run_config": config}),
            ("shadow_candidate", {"tags": weeks}),
            ("judge_candidate", {}),
        ):
            assert definitions.resolve_job_def(job).execute_in_process(instance=instance, **options).success
    assert here.lake.read_json("reports/gate.json")["open"]
    assert here.registry.by_alias(PRODUCTION).version == 1
    return here


def environment(settings, repository: Path) -> dict[str, str]:
    """Of every process that works on an installation."""
    return {
        **os.environ,
        "PYTHONPATH": str(repository),
        "DAGSTER_HOME": str(settings.home / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "TOUCHLINE_HOME": str(settings.home),
        "TOUCHLINE_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "TOUCHLINE_PROMOTION_POLICY": "auto",
    }


@contextmanager
def webserver(settings, repository: Path, port: int) -> Iterator[Callable[[str, list[str]], str]]:
    """Dagster's pages; gives what their button for a backfill does: asset and weeks in, id of the backfill out."""

    def launch(asset: str, names: list[str]) -> str:
        asked = {"assetSelection": [{"path": [asset]}], "partitionNames": names, "title": asset}
        body = {"query": LAUNCH, "variables": {"params": asked}}
        answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json=body, timeout=60).json()
        return str(answer["data"]["launchPartitionBackfill"]["backfillId"])

    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]
    with (settings.home / "webserver.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-w", str(repository / "workspace.yaml")],
            env=environment(settings, repository),
            cwd=repository,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + PATIENCE
            while not answers(port):
                assert process.poll() is None, (settings.home / "webserver.log").read_text()[-3000:]
                assert time.monotonic() < deadline
                time.sleep(0.5)
            yield launch
        finally:
            end(process)


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


LAUNCH = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { ... on LaunchBackfillSuccess { backfillId } __typename }
}
"""


def completed(here, repository: Path, ids: list[str]) -> dict[str, list[dg.DagsterRun]]:
    """Let the daemon work until the backfills are done; the runs of each."""
    log = here.settings.home / "daemon.log"
    with here.instance() as instance, daemon(here.settings, repository) as process:
        deadline = time.monotonic() + PATIENCE
        while not all(instance.get_backfill(one).status is COMPLETED for one in ids):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(1)
        runs = {one: list(instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": one}))) for one in ids}
    assert all(run.is_success for one in runs.values() for run in one)
    return runs


def test_the_daemon_promotes_when_the_gate_is_open(open_gate, repository: Path) -> None:
    log = open_gate.settings.home / "daemon.log"
    with daemon(open_gate.settings, repository) as process:
        deadline = time.monotonic() + PATIENCE
        while open_gate.registry.by_alias(PRODUCTION).version != 2:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(1)
    assert open_gate.registry.by_alias(PREVIOUS).version == 1


SEASON = [week for week in weeks.get_partition_keys() if "2025-08-11" <= week <= "2026-05-18"]
"""Weeks of 2025/26."""

OVER = [week for week in SEASON if week <= "2026-03-02"]
"""Those of which there can be a drift report."""


@pytest.mark.parametrize("reported", [OVER[-2:], pytest.param(OVER, marks=pytest.mark.soak)], ids=["two", "season"])
def test_a_season_is_filled_back_from_the_page_in_a_single_run_and_in_one_run_per_week(
    copied, repository: Path, free_port: Callable[[], int], reported: list[str]
) -> None:
    """Tables in which a match is there once over all weeks are one run; reports, each on its own week, one each."""
    before = copied.forecasts()
    with webserver(copied.settings, repository, free_port()) as launch:
        together = {noun: launch(noun, SEASON) for noun in ("forecasts", "settled_forecasts")}
        each = launch("drift_report", reported)
    runs = completed(copied, repository, [*together.values(), each])
    for one in together.values():
        assert [(run.tags[RANGE_START], run.tags[RANGE_END]) for run in runs[one]] == [(SEASON[0], SEASON[-1])]
    assert sorted(run.tags["dagster/partition"] for run in runs[each]) == reported
    for week in reported:
        assert copied.lake.stamp(f"reports/drift/week={week}/report.html") is not None
    pd.testing.assert_frame_equal(copied.forecasts(), before)


PROMOTE = """
import sys
import dagster as dg
from orchestration.definitions import defs
job = defs.resolve_job_def("promote_model")
with dg.DagsterInstance.get() as instance:
    print("ready", flush=True)
    sys.stdin.readline()
    sys.exit(not job.execute_in_process(instance=instance, raise_on_error=False).success)
"""


def test_two_processes_that_promote_at_once_promote_once(open_gate, repository: Path) -> None:
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTE],
            env=environment(open_gate.settings, repository),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in racing:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in racing:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate()[1][-2000:] for process in racing]
    assert [process.returncode for process in racing] == [0, 0], ended
    assert [one["version"] for one in history(open_gate.lake)] == [1, 2]
    assert open_gate.registry.by_alias(PRODUCTION).version == 2
    assert open_gate.registry.by_alias(PREVIOUS).version == 1
