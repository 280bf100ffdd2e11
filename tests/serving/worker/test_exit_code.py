"""How the processes end: supervisors that restart failures only must see one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from celery import bootsteps
from serving.worker.app import app, main

class Fault(bootsteps.StartStopStep):
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent):
        raise RuntimeError("an error that nothing handles")

app.steps["consumer"].add(Fault)
main()
"""


def _run(arguments: list[str], repository: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **settings}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=repository, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_a_worker_that_gives_up_exits_with_a_failure(repository: Path, valkey: str) -> None:
    """An error that nothing handles is an exit code other than 0."""
    done = _run(["-c", PROGRAM], repository, TOUCHLINE_BROKER_URL=f"{valkey}/9", TOUCHLINE_HOME="/nowhere")
    assert "an error that nothing handles" in done.stderr
    assert done.returncode != 0


@pytest.mark.parametrize("module", ["serving.api", "serving.worker"])
def test_an_address_that_cannot_be_used_ends_the_start(module: str, repository: Path) -> None:
    """One sentence on standard error, without the password, and an exit code other than 0."""
    done = _run(["-m", module], repository, TOUCHLINE_BROKER_URL="redis://:secret@store:word")
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("setting TOUCHLINE_BROKER_URL: the port must be a number")
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
