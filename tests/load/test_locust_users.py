"""Users of the load test on the real service: each action once, then a short run of `make load-test`."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.lake_reports import drift_summary
from tests.support.service_harness import REPOSITORY, Service

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
WEEK = "reports/drift/week=2026-03-09"
EACH_ONCE = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("locustfile", sys.argv[1])
locustfile = importlib.util.module_from_spec(spec)
sys.modules["locustfile"] = locustfile
spec.loader.exec_module(locustfile)
from locust import events
from locust.env import Environment
locustfile.Application.host = sys.argv[2]
environment = Environment(events=events, user_classes=[locustfile.Application])
environment.create_local_runner()
user = locustfile.Application(environment)
user.on_start()
for task in dict.fromkeys(user.tasks):
    task(user)
asked = sorted({name for name, _ in environment.stats.entries})
print(json.dumps({"asked": asked, "failed": [one.to_name() for one in environment.stats.errors.values()]}))
"""


@pytest.fixture
def reviewed(service: Service) -> Iterator[Service]:
    """The service while its lake has a drift report."""
    lake = service.world.lake
    lake.write_json(f"{WEEK}/summary.json", drift_summary())
    lake.write_bytes(f"{WEEK}/report.html", b"<html>drift</html>")
    yield service
    for file in (service.world.lake_root / WEEK).iterdir():
        file.unlink()


def test_what_users_do_asks_every_endpoint_and_nothing_of_it_fails(reviewed: Service) -> None:
    command = [sys.executable, "-c", EACH_ONCE, str(LOCUSTFILE), reviewed.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    paths = set(httpx.get(f"{reviewed.url}/openapi.json").json()["paths"])
    assert told["failed"] == []
    assert set(told["asked"]) - {"accepted to ended"} == paths


@pytest.mark.parametrize(
    ("objectives", "verdict", "exit_code"),
    [("60_000.0, 60_000.0, 0.0", "objectives met", 0), ("0.0, 0.0, 1.0", "objectives MISSED", 1)],
    ids=["met", "missed"],
)
def test_make_load_test_ends_with_its_verdict(
    reviewed: Service, tmp_path: Path, objectives: str, verdict: str, exit_code: int
) -> None:
    """The command of the Makefile with objectives that it must meet, and with some that it must miss."""
    text, count = re.subn(r"^(P50, P99, AVAILABILITY =) .*$", rf"\1 {objectives}", LOCUSTFILE.read_text(), flags=re.M)
    assert count == 1
    (tmp_path / "locustfile.py").write_text(text)
    recipe = re.search(r"^load-test:.*\n((?:\t.*\n)+)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    command = recipe[1].replace("\\\n", " ").replace("$(BIN)", str(Path(sys.executable).parent)).strip(" \t@")
    words = [
        word if word != "tests/load/locustfile.py" else str(tmp_path / "locustfile.py") for word in shlex.split(command)
    ]
    short = ["--users", "2", "--run-time", "2s", "--host", reviewed.url]  # of an option given twice the last one holds
    done = subprocess.run([*words, *short], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    lines = done.stdout.splitlines()[-4:]
    assert [line.split("  ")[1].strip() for line in lines[:3]] == [
        "POST /predict p50",
        "POST /predict p99",
        "availability",
    ]
    assert all(line.endswith(("met", "MISSED")) for line in lines[:3]), done.stdout
    assert (lines[3], done.returncode) == (verdict, exit_code)
