"""The files that tell a supervisor whether a worker is healthy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving.worker import heartbeat
from serving.worker.app import app
from tests.support.service_harness import wait_until


def test_a_worker_says_that_it_lives_before_it_has_a_broker(tmp_path: Path) -> None:
    heartbeat.start(tmp_path / "worker")
    for _ in range(500):
        if (tmp_path / "worker" / "alive").exists():
            break
        threading.Event().wait(0.01)
    assert [path.name for path in (tmp_path / "worker").iterdir()] == ["alive"]


def test_a_file_that_cannot_be_written_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread goes on, and writes once it can."""
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", 0.01)
    folder = tmp_path / "worker"
    folder.write_text("a file where the folder should be")
    heartbeat.renew(folder, heartbeat.MODEL)
    attempts = count()
    heartbeat.start(folder, lambda: next(attempts) < 0)
    wait_until(lambda: next(attempts) > 2)
    folder.unlink()
    wait_until((folder / "alive").exists)


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    heartbeat.start(None)
    heartbeat.renew(None, heartbeat.MODEL)
    assert list(tmp_path.iterdir()) == []


def test_the_connection_is_renewed_by_the_event_loop_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[Callable[[], Any]] = []
    entry = SimpleNamespace(cancelled=False)
    entry.cancel = lambda: setattr(entry, "cancelled", True)

    def call_repeatedly(_seconds: float, function: Callable[..., Any], args: Any, **_: Any) -> Any:
        rounds.append(lambda: function(*args))
        return entry

    monkeypatch.setattr(heartbeat.ConnectedStep, "folder", tmp_path)
    worker = SimpleNamespace(timer=SimpleNamespace(call_repeatedly=call_repeatedly))
    step = heartbeat.ConnectedStep(worker)
    step.start(worker)
    assert not (tmp_path / "connected").exists()
    rounds[0]()
    assert (tmp_path / "connected").exists()
    step.stop(worker)
    assert entry.cancelled


def test_every_worker_runs_the_step() -> None:
    assert heartbeat.ConnectedStep in app.steps["worker"]
