"""What `touchline up` prints, and how it ends."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from orchestration.local import run as run_module
from orchestration.local.run import LocalRun, format_duration
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
    run.supervisor = Supervisor(services, run.environment, home, home / "logs", grace_seconds=0.5)
    monkeypatch.setattr(run, "_start_up_and_announce", lambda: None)
    return run.run(), lines


def test_service_that_stops_ends_the_run_with_its_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = {"api": "exec sleep 60", "worker": "echo no broker; exit 3"}
    code, lines = run_with(tmp_path, services, monkeypatch)
    assert code == 1
    assert lines[-1] == "touchline: worker stopped by itself (exit code 3); its last lines:\n    no broker"


def test_service_that_had_to_be_killed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = {"stubborn": "trap '' TERM; while :; do sleep 0.1; done", "api": "sleep 1; exit 0"}
    code, lines = run_with(tmp_path, services, monkeypatch)
    assert code == 1
    assert any("killed stubborn (pid " in line for line in lines)


def test_durations_are_readable() -> None:
    assert [format_duration(seconds) for seconds in (7.4, 64, 1071, 7512)] == ["7 s", "1 min", "18 min", "2 h 5 min"]
