"""`make dev` serves edited code without a manual restart."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from orchestration.local.cli import main
from orchestration.local.dev_reload import WATCHED, dev_commands
from orchestration.local.services import LocalSettings
from tests.support.local_stack import processes_of
from tests.support.service_harness import World, build, wait_until

COPIED = ("features", "monitoring", "orchestration", "serving", "ui", "Procfile", "workspace.yaml")
PATIENCE_SECONDS = 180


def test_dev_without_a_lake_names_make_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints one sentence that says what to do, and creates nothing."""
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TOUCHLINE_LAKE", raising=False)
    assert main(["dev"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"touchline: {tmp_path}/home/lake holds no forecasts yet; run `make up` once")
    assert not (tmp_path / "home").exists()


def test_api_and_worker_run_as_in_the_procfile() -> None:
    """watchfiles restarts the command of the Procfile when a package that it imports changes."""
    commands = dev_commands(LocalSettings())
    assert set(commands) == {"valkey", "mlflow", "api", "worker", "ui"}
    for name in ("api", "worker"):
        words = shlex.split(commands[name])
        assert words[:2] == ["exec", "watchfiles"]
        assert words[-len(WATCHED) - 1 :] == [f"python -m serving.{name}", *WATCHED]


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    """A copy of the code that runs, so that a test can edit it."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in COPIED:
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    return copy


@pytest.fixture
def environment(checkout: Path, tmp_path: Path, free_port: Callable[[], int]) -> dict[str, str]:
    """Free ports, and a lake and a registry filled as by a pipeline."""
    world: World = build(tmp_path)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOUCHLINE_")}
    return {
        **inherited,
        **{f"TOUCHLINE_{name}_PORT": str(free_port()) for name in ("API", "UI", "DAGSTER", "MLFLOW")},
        "TOUCHLINE_HOME": str(tmp_path / "home"),
        "TOUCHLINE_LAKE": str(world.lake_root),
        "MLFLOW_BACKEND_STORE_URI": world.tracking_uri,
        "PYTHONPATH": str(checkout),
    }


@pytest.fixture
def run(checkout: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`touchline dev` in the copy; its output is in dev.log."""
    with (tmp_path / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestration.local.cli", "dev"],
            cwd=checkout,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_edit_is_served_by_api_and_worker(
    checkout: Path, environment: dict[str, str], run: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """A broken file stops the API, and the next save starts it again. A new worker serves forecasts."""
    api = f"http://127.0.0.1:{environment['TOUCHLINE_API_PORT']}"

    def title() -> str:
        return str(httpx.get(f"{api}/openapi.json", timeout=10).json()["info"]["title"])

    def workers() -> set[int]:
        items = httpx.get(f"{api}/monitoring/celery/workers", timeout=10).json()["items"]
        return {worker["pid"] for worker in items if worker["model_version"]}

    def printed(text: str) -> bool:
        return text in (tmp_path / "dev.log").read_text()

    wait_until(lambda: printed("Ready.") or run.poll() is not None, PATIENCE_SECONDS)
    assert title() == "Touchline"
    before = workers()
    source = checkout / "serving" / "api" / "app.py"
    original = source.read_text()
    source.write_text(original + "\nthis is no Python\n")
    wait_until(lambda: printed("SyntaxError"), PATIENCE_SECONDS)
    source.write_text(original.replace('title="Touchline"', 'title="Edited"'))
    wait_until(lambda: title() == "Edited", PATIENCE_SECONDS)
    wait_until(lambda: workers() - before, PATIENCE_SECONDS)
    pair = {"home_team": "Arsenal", "away_team": "Everton"}  # the API looks for workers once a second
    wait_until(lambda: httpx.post(f"{api}/predict", json=pair, timeout=40).status_code == 200, PATIENCE_SECONDS)
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 0
    assert processes_of(Path(environment["TOUCHLINE_HOME"])) == []
