"""The commands that the package's documentation names."""

from __future__ import annotations

import importlib.util
import re

import serving


def test_the_commands_that_the_package_names_exist() -> None:
    commands = re.findall(r"python -m ([\w.]+)", serving.__doc__ or "")
    assert commands == ["serving.api", "serving.worker"]
    for command in commands:
        assert importlib.util.find_spec(f"{command}.__main__") is not None
