"""The real daemon: a sensor ticks, a run starts, the alias moves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from features.io.registry import PREVIOUS, PRODUCTION
from monitoring.gate import Policy
from orchestration.definitions import build
from orchestration.partitions import RANGE_END, RANGE_START

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]
PATIENCE = 420


@contextmanager
def daemon(settings, repository: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's daemon with our workspace, and everything it starts, until the test is over."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(repository),
        "DAGSTER_HOME": str(settings.home / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "TOUCHLINE_HOME": str(settings.home),
        "TOUCHLINE_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "TOUCHLINE_PROMOTION_POLICY": "auto",
    }
    with (settings.home / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-w", str(repository / "workspace.yaml")],
            env=environment,
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


def test_the_daemon_promotes_a_version_whose_gate_is_open(installed, tmp_path: Path, repository: Path) -> None:
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
    with daemon(settings, repository) as process:
        deadline = time.monotonic() + PATIENCE
        while here.registry.by_alias(PRODUCTION).version != 2:
            assert process.poll() is None, (home / "daemon.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (home / "daemon.log").read_text()[-3000:]
            time.sleep(1)
    assert here.registry.by_alias(PREVIOUS).version == 1
