"""Importing a module has no effect: every module of the product is imported under a spy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("features", "monitoring", "orchestration", "serving", "ui")
SCRIPTS = ("ui/streamlit_app.py", "ui/app_pages/")
"""Streamlit runs these files for every page view; nothing imports them."""

DEFINITIONS = (
    "Dagster loads `defs` from this module: when it is imported, settings are read and foreign variables dropped"
)
COMPILED = "numba looks for a folder that it may write its compiled code to where a function is decorated"
CODEC = "kombu's registry is global, and its JSON decoder takes four times as long for a batch"
EXPECTED = {
    "orchestration.definitions": ({"reads the environment", "changes the environment"}, DEFINITIONS),
    "features.ratings.elo": ({"changes files"}, COMPILED),
    "features.ratings.market": ({"changes files"}, COMPILED),
    "features.ratings.pi": ({"changes files"}, COMPILED),
    "features.ratings.rating_update": ({"changes files"}, COMPILED),
    "serving.worker.app": ({"registers a serializer"}, CODEC),
}
"""The modules whose import has effects, with the reason."""


def modules(repository: Path) -> list[str]:
    """Every module of the product, by its import path."""
    files = [path.relative_to(repository) for name in PACKAGES for path in sorted((repository / name).rglob("*.py"))]
    return [
        ".".join(file.with_suffix("").parts).removesuffix(".__init__")
        for file in files
        if file.name != "__main__.py" and not str(file).startswith(SCRIPTS)
    ]


INHERITED = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"}
"""Variables that tests in the same process do not set: what is set already would be no effect."""


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_importing_a_module_has_no_effect(repository: Path) -> None:
    """No environment, no files, no connections, no processes, no logging set-up, no registries; see EXPECTED."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.import_spy"],
        input=json.dumps(modules(repository)),
        cwd=repository,
        env={name: value for name, value in os.environ.items() if name in INHERITED},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    recorded = {module: set(effects) for module, effects in json.loads(done.stdout.splitlines()[-1]).items()}
    assert recorded == {module: effects for module, (effects, _) in EXPECTED.items()}
