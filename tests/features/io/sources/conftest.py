"""Where what a source gave is kept."""

from pathlib import Path

import pytest

from features.io.settings import Settings
from features.io.sources.archive import FileArchive
from features.io.store import Lake


@pytest.fixture
def versions(tmp_path: Path) -> FileArchive:
    """What was fetched, kept in the lake that an installation with its home in `tmp_path` has."""
    return FileArchive(Lake(Settings(home=tmp_path).lake_root))
