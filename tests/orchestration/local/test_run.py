"""What `touchline up` prints, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from orchestration.local import run as run_module
from orchestration.local.leftovers import marked, processes_of
from orchestration.local.run import LocalRun, down, format_duration
from orchestration.local.services import LocalSettings
from orchestration.local.supervisor import Supervisor

pytestmark = pytest.mark.medium


@pytest.mark.parametrize(
    ("exit_code", "expected"), [(None, ["  forecasts are served now: http://127.0.0.1:8501"]), (0, [])]
)
def test_viewer_is_announced_while_the_pipeline_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exit_code: int | None, expected: list[str]
) -> None:
    lines: list[str] = []
    run = LocalRun(LocalSettings(home=tmp_path), lines.append)
    assert (tmp_path / "logs" / "api.log").read_text() == "", "a service that has written nothing has a log"
    run._pipeline = cast("subprocess.Popen[str]", SimpleNamespace(poll=lambda: exit_code))
    monkeypatch.setattr(run_module, "probe", lambda _: None)
    run._announce_first_forecast()
    assert lines == expected


def run_with(home: Path, services: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """Exit code and printed lines of a run of these services; the run ends once all have started."""
    lines: list[str] = []
    run = LocalRun(LocalSettings(home=home), lines.append)
    run.supervisor = Supervisor(
        services,
        run.environment,
        home,
        home / "logs",
        grace_seconds=0.5,
        on_restart=run.announce_restart,
        backoff_seconds=0.01,
    )
    monkeypatch.setattr(run, "_start_up_and_announce", lambda: None)
    return run.run(), lines


def test_service_that_fails_again_and_again_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start is told by name, and at the end the last lines say why."""
    services = {"api": "exec sleep 60", "worker": "echo no broker; exit 3"}
    code, lines = run_with(tmp_path, services, monkeypatch)
    assert code == 1
    reason = "it stopped by itself (exit code 3)"
    assert lines.count(f"touchline: worker is started again: {reason}; see {tmp_path}/logs/worker.log") == 5
    summary, *last_lines = lines[-1].splitlines()
    assert summary == (
        f"touchline: worker was started again 5 times within a minute, in vain: {reason}; its last lines:"
    )
    assert last_lines == ["    no broker"] * 6


def test_service_that_had_to_be_killed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = {"stubborn": "trap '' TERM; while :; do sleep 0.1; done", "api": "exit 0"}
    code, lines = run_with(tmp_path, services, monkeypatch)
    assert code == 1
    assert any("killed stubborn (pid " in line for line in lines)


def test_failed_pipeline_stops_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason and where to look are printed, and whoever reads them finds Dagster and the viewer."""
    monkeypatch.setenv("TOUCHLINE_FIRST_PUBLISHED_WEEK", "2026-01-05")
    monkeypatch.setenv("TOUCHLINE_AS_OF", "2025-01-01")
    lines: list[str] = []
    run = LocalRun(LocalSettings(home=tmp_path), lines.append)
    assert not run.run_pipeline()
    assert run.failure is None
    assert lines[0].startswith("touchline: the pipeline failed (TOUCHLINE_AS_OF=2025-01-01 is before 2026-01-05")
    assert lines[0].endswith(f"see {tmp_path}/logs/pipeline.log")
    assert "http://127.0.0.1:3000/runs" in lines[1]
    assert lines[2].startswith("All services stay up.")


@pytest.fixture
def holder(tmp_path: Path, repository: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock of a home, as a running `up` does, and ends when it is asked to."""
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    code = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(code, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


HOLDER = """
import os, signal, sys
from pathlib import Path
from orchestration.local.preflight import SUPERVISOR_PID, single_instance_lock, write_run_settings

home = Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with single_instance_lock(home):
    write_run_settings(home, {SUPERVISOR_PID: str(os.getpid())})
    print("ready", flush=True)
    signal.pause()
"""


def test_down_stops_a_run_and_what_a_killed_one_left(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    """Processes of other homes, and others that only name this home, go on."""
    mine, other = (
        subprocess.Popen(["sleep", "60"], env=marked(os.environ, home, "run", "api"))
        for home in (tmp_path, tmp_path / "other")
    )
    shell = subprocess.Popen(["sleep", "60"], env={**os.environ, "TOUCHLINE_HOME": str(tmp_path)})
    lines: list[str] = []
    try:
        assert down(tmp_path, lines.append) == 0
        assert holder.wait(20) == 0
        assert processes_of(tmp_path) == []
        assert (other.poll(), shell.poll()) == (None, None)
    finally:
        for process in (mine, other, shell):
            process.kill()
            process.wait()
    assert lines == [
        f"Stopping Touchline in {tmp_path} ...",
        f"  ended sleep 60 (pid {mine.pid})",
        f"Nothing of Touchline is running in {tmp_path}.",
    ]


def test_down_where_nothing_runs_says_so(tmp_path: Path) -> None:
    """It creates nothing."""
    lines: list[str] = []
    assert down(tmp_path / "home", lines.append) == 0
    assert lines == [f"Nothing of Touchline is running in {tmp_path}/home."]
    assert not (tmp_path / "home").exists()


def test_durations_are_readable() -> None:
    assert [format_duration(seconds) for seconds in (7.4, 64, 1071, 7512)] == ["7 s", "1 min", "18 min", "2 h 5 min"]
