"""What every test may ask for: things that need not be on the machine, and the match files beside the checkout."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def require_or_skip(condition: object, reason: str) -> None:
    """Go on if `condition` holds; otherwise skip with the reason, or fail where CI=true: all is installed there."""
    if condition:
        return
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"under CI this must not be skipped: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require() -> Callable[[object, str], None]:
    """`require(condition, reason)`: skip with the reason, or fail under CI."""
    return require_or_skip


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder `shared` beside the checkout: schemas and match files that are not ours to redistribute."""
    folder = REPOSITORY.parent / "shared"
    require_or_skip(
        folder.is_dir(), "no folder `shared` beside the checkout: its match files are not part of the project"
    )
    return folder


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """Real match files of football-data.co.uk and openfootball, and the known-defective ones."""
    return shared / "data"


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port on loopback that nobody listens on right now."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find
