"""What the repository promises about itself."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ALLOWED = {
    *("orchestration", "serving", "features", "monitoring", "ui", "helm", "tests"),
    *("workspace.yaml", "pyproject.toml", "README.md", "LICENSE", "Makefile", "Procfile", "Dockerfile"),
    *(
        "requirements.lock",
        ".ci",
        ".github",
        ".pre-commit-config.yaml",
        ".gitignore",
        ".dockerignore",
        ".hadolint.yaml",
        ".streamlit",
    ),
}


def tracked(repository: Path) -> list[str]:
    """Files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (repository / name).is_file()]


def test_the_top_level_holds_the_packages_and_what_tooling_demands(repository: Path) -> None:
    assert {name.split("/")[0] for name in tracked(repository)} <= ALLOWED


def test_no_package_index_is_named_anywhere(repository: Path) -> None:
    # The names are put together here, so that this file does not contain them.
    names = ["py" + "pi", "python" + "hosted", "npm" + "js", "deb.de" + "bian"]
    hosts = re.compile("|".join([*(rf"{re.escape(name)}\.(?:org|com)" for name in names), "index-" + "url"]))
    for name in tracked(repository):
        text = (repository / name).read_bytes().decode("utf-8", "ignore")
        assert not hosts.search(text), f"{name} names a package index: {hosts.search(text)}"


def test_every_locked_package_has_a_hash(repository: Path) -> None:
    lock = (repository / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9][a-z0-9._-]*(?:\[[a-z,]+\])?==[^\\\n]*\\?)$", lock, re.M)
    assert len(pinned) > 200
    for block in re.split(r"^(?=[a-z0-9][^\n]*==)", lock, flags=re.M)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_the_lock_satisfies_what_the_project_asks_for(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    locked = {
        name.lower()
        for name in re.findall(r"^([A-Za-z0-9._-]+)==", (repository / "requirements.lock").read_text(), re.M)
    }
    requirements = [
        *project["dependencies"],
        *(item for group in project["optional-dependencies"].values() for item in group),
    ]
    names = {
        re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")
        for requirement in requirements
    }
    assert names - {"touchline"} <= locked


def test_environment_and_logging_have_few_homes(repository: Path) -> None:
    """Only the settings classes and the entry points use the environment or `basicConfig`."""
    pattern = re.compile(r"os\.environ|os\.getenv|basicConfig\(")
    # The supervisor passes its environment to its services. The registry limits MLflow's own retries, which only
    # variables can do. The API tells its processes where to keep their common metrics. The settings detect unknown
    # variables. `features.io.environment`, worker and viewer remove those that libraries would prefer to our settings.
    allowed = {
        "features/io/environment.py",
        *("features/io/settings.py", "features/io/setting_names.py", "features/io/registry.py", "features/io/store.py"),
        *(
            "orchestration/local/services.py",
            "serving/api/app.py",
            "serving/worker/environment.py",
            "ui/environment.py",
        ),
    }
    users = {
        name
        for name in tracked(repository)
        if re.match(r"(features|monitoring|orchestration|serving|ui)/.*\.py$", name)
        and pattern.search((repository / name).read_text())
    }
    assert users <= allowed


@pytest.mark.medium
def test_the_api_loads_nothing_that_only_models_need(repository: Path) -> None:
    heavy = {"scipy", "sklearn", "mlflow", "numba", "dagster", "evidently", "great_expectations", "streamlit"}
    code = f"import sys, serving.api.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", "each of them costs memory that an idle API does not need"
