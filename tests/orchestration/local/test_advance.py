"""`touchline advance` uses the settings of the running `up` and reports what changed."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from features.io import settings
from features.io.clock import Clock
from features.io.registry import Registry
from features.io.settings import Settings
from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF, load
from features.io.store import Lake
from features.matches import SCHEMA, as_known_at
from orchestration.local import advance
from orchestration.local.cli import main
from orchestration.local.preflight import single_instance_lock, write_run_settings
from orchestration.settings import PipelineSettings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder and no other setting; variables that the command sets are removed after the test."""
    for name in [name for name in os.environ if name.startswith("TOUCHLINE_")]:
        monkeypatch.delenv(name)
    # set and deleted, so that monkeypatch removes them after the test
    for name in ("UI_PORT", "MLFLOW_TRACKING_URI", "PROMOTION_POLICY"):
        monkeypatch.setenv(f"TOUCHLINE_{name}", "")
        monkeypatch.delenv(f"TOUCHLINE_{name}")
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path))
    return tmp_path


def test_advance_uses_the_settings_of_the_running_stack(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It also reports the new results."""
    used: list[PipelineSettings] = []

    def pipeline(pipeline_settings: PipelineSettings, on_progress: object) -> None:
        used.append(pipeline_settings)
        as_of = Clock(pipeline_settings).as_of()
        Lake(pipeline_settings.lake_root).write_table("matches", COMPETITION, as_known_at(load(), as_of), SCHEMA)

    monkeypatch.setattr(Registry, "versions", lambda _: [])
    monkeypatch.setattr(advance, "run_pipeline", pipeline)
    pipeline(PipelineSettings(), print)
    running = {"UI_PORT": "18501", "MLFLOW_TRACKING_URI": "http://127.0.0.1:15000", "PROMOTION_POLICY": "auto"}
    with single_instance_lock(home):
        write_run_settings(home, {f"TOUCHLINE_{name}": value for name, value in running.items()})
        assert main(["advance", "--weeks", "2"]) == 0
    assert (used[-1].mlflow_tracking_uri, used[-1].promotion_policy) == ("http://127.0.0.1:15000", "auto")
    assert Clock(Settings()).as_of() == REPLAY_AS_OF + timedelta(weeks=2)
    moved, came, look = capsys.readouterr().out.splitlines()[-3:]
    assert moved == "The clock moved from Friday 13 March 2026 to Friday 27 March 2026, 12:00 UTC."
    assert came == "18 results came in, no forecasts were scored; 71 matches still to come."
    assert "http://127.0.0.1:18501/?show=Results" in look


def test_advance_needs_a_running_stack(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This holds even if the MLflow of another platform answers."""
    monkeypatch.setattr(Registry, "versions", lambda _: [])
    for folder in (home, home / "new"):
        monkeypatch.setenv("TOUCHLINE_HOME", str(folder))
        assert main(["advance"]) == 1
        (message,) = capsys.readouterr().out.splitlines()
        assert message.startswith(f"touchline: Touchline is not running in {folder}; start `make up` first")
    assert list(home.iterdir()) == []


def test_clock_does_not_move_without_a_registry(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOUCHLINE_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with single_instance_lock(home):
        assert main(["advance"]) == 1
    assert capsys.readouterr().out == "touchline: no MLflow answers at http://127.0.0.1:9; is it still starting?\n"
    assert not (home / "as_of").exists()


def test_home_does_not_depend_on_the_working_directory(
    home: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a checkout, as in an image, the home is `.touchline` in the working directory."""
    monkeypatch.delenv("TOUCHLINE_HOME")
    monkeypatch.chdir(tmp_path)
    assert Settings().home == repository / ".touchline"
    monkeypatch.setattr(settings, "__file__", str(tmp_path / "app" / "features" / "io" / "settings.py"))
    assert Settings().home == Path(".touchline")


def test_end_of_the_season_is_reported() -> None:
    (line,) = advance.changes(advance.Count(370, 10, 360), advance.Count(380, 0, 361))
    assert line.startswith("10 results came in, 1 forecast was scored; the season is over.")
