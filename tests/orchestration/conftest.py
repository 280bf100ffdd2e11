"""Whole installations in temporary folders, on the bundled data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from monitoring.conditions import Policy
from tests.support.built_once import build_once
from tests.support.installation import Installation, add_candidate, copy_of, install


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[..., Installation]:
    """A function that makes an empty installation as of a time."""

    def installation(as_of: datetime | None = None) -> Installation:
        return install(tmp_path / "home", as_of)

    return installation


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation after its first start, one for all test processes; tests must not change it."""

    def start(folder: Path) -> None:
        (folder / "output").write_text("\n".join(install(folder / "home").run()))

    return install(build_once(tmp_path_factory, "installed", start) / "home")


@pytest.fixture(scope="session")
def first_start(installed: Installation) -> list[str]:
    """The lines that the first start of `installed` printed."""
    return (installed.settings.home.parent / "output").read_text().splitlines()


@pytest.fixture(scope="session")
def with_candidate(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with a candidate and its shadow forecasts, one for all test processes; tests work on copies."""
    folder = build_once(
        tmp_path_factory, "with-candidate", lambda folder: add_candidate(copy_of(installed, folder / "home"))
    )
    return install(folder / "home")


@pytest.fixture
def open_gate(with_candidate: Installation, tmp_path: Path) -> Installation:
    """An installation in which version 2 is staged and every condition has passed."""
    return copy_of(with_candidate, tmp_path / "home")


@pytest.fixture(scope="module")
def judged(with_candidate: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation whose candidate has shadow forecasts and waits for a person; shared by the tests of a module."""
    return copy_of(with_candidate, tmp_path_factory.mktemp("judged") / "home", Policy.MANUAL)
