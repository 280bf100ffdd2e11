"""A disk with little room, to fill in a test. To mount one takes the rights of root; without them its tests skip."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A new folder with room for so much, until the block ends."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here: that takes the rights of root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, leave_bytes: int = 0) -> Path:
    """Write a file that leaves so many bytes free; returns it, to be deleted."""
    filler, state = folder / "filler", os.statvfs(folder)
    with filler.open("wb") as file:
        for _ in range((state.f_bavail * state.f_frsize - leave_bytes) // 4096):
            file.write(bytes(4096))
    return filler
