"""Real processes: the daemon whose sensor ticks, whose run starts, that moves the alias; and two that race for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from features.io.registry import PREVIOUS, PRODUCTION
from monitoring.gate import Policy
from orchestration.definitions import build
from orchestration.partitions import RANGE_END, RANGE_START
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
            mine = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            for one in mine:
                one.terminate()
            _, alive = psutil.wait_procs(mine, 20)
            for one in alive:
                one.kill()


@pytest.fixture
def open_gate(installed, tmp_path: Path):
    """A copy of the installation in which version 2 is staged and nothing is shut."""
    home = tmp_path / "home"
    shutil.copytree(installed.settings.home, home)
    settings = installed.settings.model_copy(
        update={"home": home, "mlflow_tracking_uri": f"sqlite:///{home}/mlflow.db", "promotion_policy": Policy.AUTO}
    )
    here = type(installed)(settings)
    definitions = build(settings)
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


def backfill(instance: dg.DagsterInstance, definitions: dg.Definitions, asset: str, weeks: list[str]) -> str:
    """Ask for weeks of an asset as Dagster's page does; returns the id that every run of it bears."""
    instance.add_backfill(
        PartitionBackfill.from_asset_partitions(
            backfill_id=f"backfill-{asset}",
            asset_graph=definitions.resolve_asset_graph(),
            partition_names=weeks,
            asset_selection=[dg.AssetKey(asset)],
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
    )
    return f"backfill-{asset}"


def test_the_daemon_promotes_when_the_gate_is_open_and_fills_back_in_one_run_or_in_one_per_week(
    open_gate, repository: Path
) -> None:
    log = open_gate.settings.home / "daemon.log"
    with open_gate.instance() as instance:
        definitions = build(open_gate.settings)
        each = backfill(instance, definitions, "drift_report", ["2026-02-16", "2026-02-23"])
        together = backfill(instance, definitions, "settled_forecasts", ["2026-02-16", "2026-02-23", "2026-03-02"])
        with daemon(open_gate.settings, repository) as process:
            deadline = time.monotonic() + PATIENCE
            while open_gate.registry.by_alias(PRODUCTION).version != 2 or not (
                instance.get_backfill(each).status is instance.get_backfill(together).status is COMPLETED
            ):
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(1)
        runs = {one: instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": one})) for one in (each, together)}
    assert open_gate.registry.by_alias(PREVIOUS).version == 1
    assert sorted(run.tags["dagster/partition"] for run in runs[each]) == ["2026-02-16", "2026-02-23"]
    assert [(run.tags[RANGE_START], run.tags[RANGE_END]) for run in runs[together]] == [("2026-02-16", "2026-03-02")]
    assert all(run.is_success for run in (*runs[each], *runs[together]))


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
