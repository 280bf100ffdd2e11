"""What a new user does with the README alone: start it, request forecasts, open the page, stop it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.local_stack import CHROMIUM, first_loop


@pytest.fixture
def environment(tmp_path: Path, free_port: Callable[[], int]) -> dict[str, str]:
    """Free ports and a home of its own."""
    ports = {f"TOUCHLINE_{name}_PORT": str(free_port()) for name in ("API", "UI", "DAGSTER", "MLFLOW")}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOUCHLINE_")}
    return {**inherited, **ports, "TOUCHLINE_HOME": str(tmp_path / "home")}


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.chromium
@pytest.mark.timeout(1500)
def test_make_up_serves_forecasts_and_leaves_nothing_behind(
    repository: Path, environment: dict[str, str], require: Callable[[object, str], None]
) -> None:
    require(Path(CHROMIUM).exists(), "no Chromium on this machine (Debian: apt install chromium)")
    first_loop(repository, environment)
