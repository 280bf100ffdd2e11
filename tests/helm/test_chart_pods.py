"""What `make images` gives to `podman kube play` is the chart's rendering with the edits that one machine needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

Thing = dict[str, Any]
POD = "spec.template.spec"
# What may differ, for each part: nothing else does.
EDITS = {
    "api": {
        *(f"{POD}.{field}" for field in ("affinity", "topologySpreadConstraints", "serviceAccountName")),
        *(f"{POD}.{field}" for field in ("automountServiceAccountToken", "enableServiceLinks", "hostNetwork")),
        *(f"{POD}.containers.api.{field}" for field in ("image", "ports", "lifecycle")),
        *(f"{POD}.containers.api.{field}Probe" for field in ("startup", "readiness", "liveness")),
        *(
            f"{POD}.containers.api.env.TOUCHLINE_{name}"
            for name in ("BROKER_URL", "RESULT_BACKEND_URL", "MLFLOW_TRACKING_URI", "API_HOST", "API_PORT")
        ),
        f"{POD}.volumes.lake",
        f"{POD}.volumes.tmp.emptyDir",
    }
}
EDITS["worker"] = {
    path.replace(".api", ".worker") for path in EDITS["api"] if not path.endswith(("API_HOST", "API_PORT"))
}


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its path; items of lists are known by their names."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list) and node and all(isinstance(one, dict) and "name" in one for one in node):
        for one in node:
            yield from leaves(
                {key: value for key, value in one.items() if key != "name"} or None, f"{path}.{one['name']}"
            )
    else:
        yield path, node


@pytest.mark.parametrize("part", EDITS)
def test_the_pods_for_podman_differ_from_the_chart_only_as_listed(chart: Any, repository: Path, part: str) -> None:
    told = subprocess.run(
        [sys.executable, str(repository / ".ci" / "pods-of-chart"), "/somewhere", "17060"],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    made = {one["metadata"]["name"]: one for one in yaml.safe_load_all(told)}
    rendered = {one["metadata"]["name"]: one for one in chart.render("values-dev.yaml") if one["kind"] == "Deployment"}
    assert made.keys() == {"touchline-api", "touchline-worker"}
    before, after = (dict(leaves(one[f"touchline-{part}"])) for one in (rendered, made))
    before["metadata.namespace"] = after["metadata.namespace"]  # each rendering has its own
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    used = {edit for edit in EDITS[part] for path in changed if path == edit or path.startswith(f"{edit}.")}
    unlisted = {
        path for path in changed if not any(path == edit or path.startswith(f"{edit}.") for edit in EDITS[part])
    }
    assert unlisted == set()
    assert used == EDITS[part], "an edit is listed that is not made"


def test_the_probes_for_podman_are_those_of_the_chart(chart: Any, repository: Path) -> None:
    told = subprocess.run(
        [sys.executable, str(repository / ".ci" / "pods-of-chart"), "/somewhere", "17060", "probes"],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout.splitlines()  # fmt: skip
    asked = {tuple(line.split(" ", 2)[:2]): line.split(" ", 2)[2] for line in told}
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    assert asked.keys() == {(part, kind) for part in ("api", "worker") for kind in kinds}
    for thing in chart.render("values-dev.yaml"):
        part = thing["metadata"]["name"].removeprefix("touchline-")
        for kind in kinds if thing["kind"] == "Deployment" and part in {"api", "worker"} else ():
            probe = thing["spec"]["template"]["spec"]["containers"][0][kind]
            path = probe["httpGet"]["path"] if "httpGet" in probe else probe["exec"]["command"][-1]
            assert path in asked[part, kind].replace("'\"'\"'", "'")
