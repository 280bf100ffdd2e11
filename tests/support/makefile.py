"""The targets of the Makefile."""

from __future__ import annotations

import re
from pathlib import Path


def targets(repository: Path) -> set[str]:
    """Names of all targets but the environment, which is a file."""
    return set(re.findall(r"^([A-Za-z][\w-]*):(?!=)", (repository / "Makefile").read_text(), re.M))
