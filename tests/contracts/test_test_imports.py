"""Tests share code through `tests.support` alone, so that each test can change without another one breaking."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest


def imported_from_tests(source: str) -> set[str]:
    """Names of the modules under `tests` that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module else {"tests"}
    return {name for name in names if name.split(".")[0] == "tests"}


def test_tests_import_from_support_alone(repository: Path) -> None:
    """Benchmarks and load generators are programs, not tests; they may be imported beside them."""
    programs = {folder: ("tests.support", f"tests.{folder}") for folder in ("benchmarks", "load")}
    allowed = {"": ("tests.support",), **programs}
    wrong = [
        f"{path.relative_to(repository)}: {name}"
        for path in sorted((repository / "tests").rglob("*.py"))
        for name in sorted(imported_from_tests(path.read_text()))
        if not name.startswith(allowed.get(path.parent.name, allowed[""]))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "line", ["from tests.ui.conftest import season", "import tests.serving.test_errors", "from . import x"]
)
def test_an_import_of_a_test_is_seen(line: str) -> None:
    assert imported_from_tests(line)
