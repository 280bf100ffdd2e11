"""Things that are built once for all test processes of a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """Return the temporary folder that all processes of a test run share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def build_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """Return the folder `name` of the run; the first process that asks for it lets `build` fill it, others wait.

    A build that failed leaves no folder, so that the next process tries again and fails with the reason.
    """
    folder, done = run_folder(factory) / name, run_folder(factory) / f"{name}.built"
    with FileLock(run_folder(factory) / f"{name}.lock"):
        if not done.exists():
            folder.mkdir()
            try:
                build(folder)
            except BaseException:
                shutil.rmtree(folder)
                raise
            done.touch()
    return folder
