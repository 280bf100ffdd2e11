"""The Makefile: bare `make` explains itself, and no file can take a target's place."""

from __future__ import annotations

import re
import subprocess
import sys
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


def test_a_checkout_below_an_umlaut_can_be_imported_in_the_locale_c(repository: Path, tmp_path: Path) -> None:
    """Python reads the path of an editable installation in the encoding of the locale."""
    makefile = (repository / "Makefile").read_text()
    (loop,) = re.findall(r"^\t(for path in .*_editable_impl_.*done); \\$", makefile, re.M)
    checkout = tmp_path / "tüst"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    (packages,) = checkout.glob(".venv/lib/python3*/site-packages")
    (packages / "_editable_impl_touchline.pth").write_text(f"{checkout}\n", "utf-8")
    (checkout / "some_module.py").write_text("")
    subprocess.run(["bash", "-c", loop.replace("$$", "$")], cwd=checkout, check=True)
    command = [str(checkout / ".venv" / "bin" / "python"), "-c", "import some_module"]
    subprocess.run(command, cwd=tmp_path, env={"LC_ALL": "C"}, check=True)
