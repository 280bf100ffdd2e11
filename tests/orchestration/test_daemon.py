"""Real processes: the daemon's sensor starts a run that moves the alias, and two processes race to move it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from features.io.promotion_log import history
from features.io.registry import PREVIOUS, PRODUCTION
from tests.support.dagster_daemon import PATIENCE, daemon, environment, log_of

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]


def test_the_daemon_promotes_when_the_gate_is_open(open_gate, repository: Path) -> None:
    with daemon(open_gate, repository) as process:
        deadline = time.monotonic() + PATIENCE
        while [entry["version"] for entry in history(open_gate.lake)] != [1, 2]:  # the last step of a promotion
            assert process.poll() is None, log_of(open_gate, "daemon")
            assert time.monotonic() < deadline, log_of(open_gate, "daemon")
            time.sleep(1)
    assert open_gate.registry.by_alias(PRODUCTION).version == 2
    assert open_gate.registry.by_alias(PREVIOUS).version == 1


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
    assert [entry["version"] for entry in history(open_gate.lake)] == [1, 2]
    assert open_gate.registry.by_alias(PRODUCTION).version == 2
    assert open_gate.registry.by_alias(PREVIOUS).version == 1
