"""API and worker of the chart on one machine without a cluster, as rendered except for the edits that this needs."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

Thing = dict[str, Any]
PARTS = ("api", "worker")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
# Fields of a pod that podman does not know or that need a cluster.
CLUSTER_ONLY = (
    "topologySpreadConstraints",
    "affinity",
    "serviceAccountName",
    "automountServiceAccountToken",
    "enableServiceLinks",
)


def deployments(objects: Sequence[Thing], release: str = "touchline") -> dict[str, Thing]:
    """The Deployments of API and worker, by part."""
    named = {thing["metadata"]["name"]: thing for thing in objects if thing["kind"] == "Deployment"}
    return {part: named[f"{release}-{part}"] for part in PARTS}


def container_of(deployment: Thing) -> Thing:
    """The only container of a Deployment's pods."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


def addresses(api: int, valkey: int, mlflow: str) -> dict[str, str]:
    """Values on loopback for the variables that refer to a Service or a Secret in the cluster."""
    broker = f"redis://127.0.0.1:{valkey}/0"
    return {
        "TOUCHLINE_BROKER_URL": broker,
        "TOUCHLINE_RESULT_BACKEND_URL": broker,
        "TOUCHLINE_MLFLOW_TRACKING_URI": mlflow,
        "TOUCHLINE_API_PORT": str(api),
        "TOUCHLINE_API_HOST": "127.0.0.1",
    }


def adapt(rendered: Thing, values: Mapping[str, str], lake: Path) -> Thing:
    """A Deployment for `podman kube play`, without probes and hooks: the test does what the kubelet would."""
    deployment = copy.deepcopy(rendered)
    pod = deployment["spec"]["template"]["spec"]
    for field in CLUSTER_ONLY:
        pod.pop(field, None)
    pod["hostNetwork"] = True
    for container in pod["containers"]:
        container["image"] = f"localhost/{container['image']}"
        container["lifecycle"] = {}
        for field in (*PROBES, "ports"):
            container.pop(field)
        for variable in container["env"]:
            if variable["name"] in values:
                variable.pop("valueFrom", None)
                variable["value"] = values[variable["name"]]
    for volume in pod["volumes"]:
        if volume.pop("persistentVolumeClaim", None):
            volume["hostPath"] = {"path": str(lake), "type": "Directory"}
        if "emptyDir" in volume:
            volume["emptyDir"] = {}
    deployment["spec"]["replicas"] = 1
    return deployment


def passes(probe: Thing, api: str, inside: Callable[[list[str]], list[str]]) -> bool:
    """Whether a rendered probe passes, run as a kubelet runs it; `inside` wraps a command to run in the container."""
    if "exec" in probe:
        command = inside(probe["exec"]["command"])
        return subprocess.run(command, check=False, timeout=60, capture_output=True).returncode == 0
    try:
        return httpx.get(api + probe["httpGet"]["path"], timeout=probe.get("timeoutSeconds", 1)).is_success
    except httpx.HTTPError:
        return False


def forecast(api: str) -> Thing:
    """A forecast through the queue, checked: three positive probabilities that sum to one."""
    answer = httpx.post(f"{api}/predict", json={"home_team": "Arsenal", "away_team": "Chelsea"}, timeout=40)
    assert answer.status_code == 200, answer.text
    body = dict(answer.json())
    assert set(body["probabilities"]) == {"home", "draw", "away"}
    assert abs(sum(body["probabilities"].values()) - 1) < 1e-9
    assert min(body["probabilities"].values()) > 0
    return body
