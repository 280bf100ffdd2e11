"""The lake in a folder; the fixture of the lake on S3 is in tests/conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.io.store import Lake


@pytest.fixture
def folder_lake(tmp_path: Path) -> Lake:
    """A lake in a folder of its own."""
    return Lake(str(tmp_path / "lake"))
