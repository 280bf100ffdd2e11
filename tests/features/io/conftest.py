"""The lake in a folder; the one on S3 is among what every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.io.store import Lake


@pytest.fixture
def folder_lake(tmp_path: Path) -> Lake:
    """A lake in a folder of its own."""
    return Lake(str(tmp_path / "lake"))
