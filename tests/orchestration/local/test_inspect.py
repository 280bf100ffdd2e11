"""`touchline inspect`: what a newcomer reads before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestration.local.cli import main

ROWS = "E0,16/08/2025,Arsenal,Chelsea,2,1\nE0,23/08/2025,Chelsea,Arsenl,2,1\n"


@pytest.fixture
def environment(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings = {
        "SOURCE": "football_data",
        "FOOTBALL_DATA_URL": site.url,
        "FIRST_SEASON": "2025",
        "AS_OF": "2026-03-13",
        "HOME": str(tmp_path),
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"TOUCHLINE_{name}", value)
    site.files["/mmz4281/2526/E0.csv"] = f"Div,Date,HomeTeam,AwayTeam,FTHG,FTAG\n{ROWS}".encode()
    return site


def test_the_report_goes_out_and_the_progress_beside_it(environment, capsys) -> None:
    assert main(["inspect", "eng-premier-league", "eng-championship"]) == 1, "one of them cannot be loaded"
    captured = capsys.readouterr()
    assert captured.out.startswith("source: football_data, as of 2026-03-13 00:00 UTC\n\neng-premier-league\n")
    assert "\n  1 matches from 1 files; 2 rows: 1 accepted, 1 rejected, 0 skipped" in captured.out
    assert "rejected: mmz4281/2526/E0.csv row 3: club 'Arsenl'" in captured.out
    assert "eng-championship\n  cannot be loaded" in captured.out
    assert f"fetching {environment.url}/mmz4281/2526/E0.csv" in captured.err
    assert "fetching" not in captured.out


def test_inspect_defaults_to_the_followed_competitions(environment, capsys) -> None:
    assert main(["inspect"]) == 0
    assert "eng-premier-league" in capsys.readouterr().out


def test_a_source_that_nobody_knows_is_one_sentence(environment, capsys, monkeypatch) -> None:
    monkeypatch.setenv("TOUCHLINE_SOURCE", "teletext")
    assert main(["inspect"]) == 1
    assert capsys.readouterr().out.startswith("touchline: unknown source 'teletext'")


def test_a_report_needs_no_library_of_models_or_runs() -> None:
    """Their imports would take longer than the report of some thousand rows."""
    heavy = "{'dagster', 'mlflow', 'numba', 'scipy', 'sklearn'}"
    code = f"import sys, orchestration.local.inspection; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"
