"""The verdict of the load test, and what it asks for. Locust patches sockets when imported: a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving.api.app import create_app
from serving.settings import ServingSettings

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
JUDGE = """
import importlib.util, json, sys
from types import SimpleNamespace
spec = importlib.util.spec_from_file_location("locustfile", sys.argv[1])
locustfile = importlib.util.module_from_spec(spec)
sys.modules["locustfile"] = locustfile
spec.loader.exec_module(locustfile)
given = json.loads(sys.argv[2])
from locust.env import Environment
from locust import events
environment = Environment(events=events, user_classes=[locustfile.Application])
environment.create_local_runner()
for kind, name, milliseconds, failed in given:
    error = RuntimeError("failed") if failed else None
    request = {"request_type": kind, "name": name, "response_time": milliseconds, "response_length": 1}
    events.request.fire(**request, exception=error, context={})
events.quitting.fire(environment=environment)
sys.exit(environment.process_exit_code)
"""


def judged(requests: list[tuple[str, str, float, bool]]) -> tuple[int, str]:
    command = [sys.executable, "-c", JUDGE, str(LOCUSTFILE), json.dumps(requests)]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "objectives" in out.stdout, out.stderr
    return out.returncode, out.stdout


def predictions(*milliseconds: float) -> list[tuple[str, str, float, bool]]:
    return [("POST", "/predict", one, False) for one in milliseconds]


def test_objectives_that_are_met_are_a_good_end() -> None:
    code, text = judged(predictions(*[4.0] * 98, 199.0, 5000.0))  # one in a hundred may be late
    assert code == 0
    assert "199.0 ms" in text
    assert "objectives met" in text


@pytest.mark.parametrize(
    ("requests", "missed"),
    [
        (predictions(*[51.0] * 100), "p50"),
        (predictions(*[4.0] * 98, 200.4, 5000.0), "p99"),  # locust's own percentile would say 200
        (predictions(*[4.0] * 100) + [("TASK", "accepted to ended", 30000.0, True)] * 2, "availability"),
        ([("GET", "/teams", 3.0, False)], "p50"),
    ],
    ids=["slow at the median", "slow at the tail", "tasks that never ended", "no forecast at all"],
)
def test_an_objective_that_is_missed_is_named_and_a_bad_end(
    requests: list[tuple[str, str, float, bool]], missed: str
) -> None:
    code, text = judged(requests)
    assert code == 1
    assert next(line for line in text.splitlines() if missed in line).endswith("MISSED")


def test_the_users_behaviour_covers_every_endpoint() -> None:
    paths: dict[str, Any] = create_app(ServingSettings()).openapi()["paths"]
    text = LOCUSTFILE.read_text()
    assert [path for path in paths if f'"{path}"' not in text] == []
