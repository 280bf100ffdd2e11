"""The archive of the files that sources have sent."""

from pathlib import Path

import pytest

from features.io.settings import Settings
from features.io.sources.archive import FileArchive
from features.io.store import Lake


@pytest.fixture
def versions(tmp_path: Path) -> FileArchive:
    """The file archive in the lake of an installation whose home is `tmp_path`."""
    return FileArchive(Lake(Settings(home=tmp_path).lake_root))
