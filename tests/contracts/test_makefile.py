"""The Makefile: bare `make` explains itself, and no file can take a target's place."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.makefile import targets


def make(repository: Path, *arguments: str) -> str:
    """Output of a make that runs no recipe but that of `help`."""
    done = subprocess.run(["make", *arguments], cwd=repository, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_bare_make_prints_every_target(repository: Path) -> None:
    """It starts nothing, and each target has a line of help."""
    listed = dict(re.findall(r"^  make ([\w-]+) +(\S.*)$", make(repository), re.M))
    assert set(listed) == targets(repository)
    assert make(repository) == make(repository, "help")


def test_every_target_is_phony(repository: Path) -> None:
    """Otherwise a file called `test` would make `make test` do nothing."""
    (phony,) = re.findall(r"^\.PHONY: (.*)$", make(repository, "--dry-run", "--print-data-base", "help"), re.M)
    assert set(phony.split()) == targets(repository)


def test_the_loop_commands_exist(repository: Path) -> None:
    expected = {"up", "test", "dev", "check", "format", "lint", "typecheck", "imports", "lock"}
    assert expected <= targets(repository)
