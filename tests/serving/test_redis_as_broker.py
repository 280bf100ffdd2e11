"""Redis as broker and result store loses no task: a killed worker's task returns after the visibility timeout."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}


@pytest.mark.slow
def test_a_task_of_a_worker_that_was_killed_in_the_middle_of_it_is_answered_by_the_next(
    master: World, redis: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    extra = {"TOUCHLINE_VISIBILITY_TIMEOUT_SECONDS": "3", "TOUCHLINE_TEST_GATE": str(gate)}
    service = Service(master, f"{redis}/14", f"{redis}/15", tmp_path, extra)
    try:
        service.start_api()
        first = service.start_worker("first", "tests.support.blocking_worker")
        service.wait_ready()
        gate.touch()
        task_id = httpx.post(f"{service.url}/predict/async/", json=PAIR, timeout=20).json()["task_id"]
        wait_until(gate.with_suffix(".entered").exists)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        gate.unlink()
        service.start_worker("second")
        finished = wait_until(lambda: _if_finished(service, task_id), 60)
        assert finished["status"] == "success"
        assert sum(finished["result"]["probabilities"].values()) == pytest.approx(1)
    finally:
        service.stop()


def _if_finished(service: Service, task_id: str) -> dict[str, Any] | None:
    status: dict[str, Any] = httpx.get(f"{service.url}/monitoring/task_status/{task_id}", timeout=20).json()
    return status if status["status"] in {"success", "failure"} else None
