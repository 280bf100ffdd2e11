"""A release from its installation to its second one, on a real cluster: `make cluster`.

Takes whatever cluster `KUBECONFIG` names; its nodes must have the images, or reach their registry (`--images`). Creates
a namespace of its own under the restricted pod security standard and deletes it at the end. Prints each step with its
seconds, and stops at the first that fails.

Steps: installation, first forecast without a further command, `helm test`, an upgrade without a change, an upgrade to
two replicas, API and worker rolled, deleted and evicted under load, a run pod killed midway, PostgreSQL replaced, a run
pod that fits on no node, uninstallation and a second installation on the volumes that stayed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]
PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
RELEASE = "touchline"
SERVICES = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component!=dagster-run"
"""Selector of the release's own pods; those of runs are Dagster's and stay for a day."""
FIRST_FORECAST_SECONDS = 180


class Cluster:
    """One namespace of a cluster, and the release in it."""

    def __init__(self, namespace: str, images: str, values: str, settings: list[str]) -> None:
        self.namespace = namespace
        self._chart = [str(REPOSITORY / "helm"), "-f", str(REPOSITORY / "helm" / values)]
        for setting in (f"global.image.repository={images}", *settings):
            self._chart += ["--set", setting]

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace; returns what it prints."""
        return _run(["kubectl", "-n", self.namespace, *arguments], stdin)

    def resource(self, *arguments: str) -> dict[str, Any]:
        """Get an object, or a list of objects, as a document."""
        return dict(json.loads(self.kubectl("get", *arguments, "-o", "json")))

    def helm(self, *arguments: str) -> str:
        """Run helm on the release."""
        return _run(["helm", "-n", self.namespace, *arguments])

    def install(self) -> None:
        self.helm("install", RELEASE, *self._chart)

    def upgrade(self, *settings: str) -> None:
        self.helm("upgrade", RELEASE, *self._chart, *(part for setting in settings for part in ("--set", setting)))

    def pods(self, component: str) -> list[dict[str, Any]]:
        selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"
        pods = self.resource("pods", "-l", selector)["items"]
        return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]

    def rolled_out(self, *deployments: str) -> None:
        for name in deployments:
            self.kubectl("rollout", "status", f"deployment/{RELEASE}-{name}", "--timeout=300s")

    def evict(self, pod: str) -> None:
        """Evict a pod as a drain does, which respects the budgets."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.namespace},
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        self.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))

    @contextlib.contextmanager
    def forwarded(self, service: str, port: int) -> Iterator[str]:
        """Forward a local port to a service, as the notes of the chart say; gives its address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            local = probe.getsockname()[1]
        target = [f"svc/{RELEASE}-{service}", f"{local}:{port}"]
        forward = subprocess.Popen(
            ["kubectl", "-n", self.namespace, "port-forward", *target],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(lambda: _listens(local), 30, f"a port-forward to {service}")
            yield f"http://127.0.0.1:{local}"
        finally:
            forward.terminate()
            forward.wait()

    @contextlib.contextmanager
    def load(self, rate: int, seconds: int) -> Iterator[dict[str, Any]]:
        """Send requests to the API's Service from a pod; the report is filled in when the pod has ended."""
        source = (Path(__file__).parent / "load_client.py").read_text()
        image = self.resource("deployment", f"{RELEASE}-api")["spec"]["template"]["spec"]["containers"][0]["image"]
        self.kubectl("delete", "pod,configmap", "load", "--ignore-not-found")
        arguments = ["python", "/load/load_client.py", f"{RELEASE}-api", str(rate), str(seconds), "32"]
        security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "load"},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "load",
                        "image": image,
                        "command": arguments,
                        "securityContext": security,
                        "volumeMounts": [{"name": "load", "mountPath": "/load"}],
                    }
                ],
                "volumes": [{"name": "load", "configMap": {"name": "load"}}],
            },
        }
        settings = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "load"},
            "data": {"load_client.py": source},
        }
        objects = {"apiVersion": "v1", "kind": "List", "items": [settings, pod]}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(objects))
        _wait(lambda: self._phase("load") == "Running", 60, "the load to start")
        report: dict[str, Any] = {}
        yield report
        _wait(lambda: self._phase("load") in {"Succeeded", "Failed"}, seconds + 120, "the end of the load")
        report.update(json.loads(self.kubectl("logs", "load").splitlines()[-1]))

    def _phase(self, pod: str) -> str:
        return str(self.resource("pod", pod)["status"]["phase"])


class Dagster:
    """Dagster's GraphQL API."""

    def __init__(self, address: str) -> None:
        self._address = address

    def launch(self, job: str, tags: dict[str, str] | None = None) -> str:
        """Launch a job; returns the id of its run."""
        selector = {"repositoryLocationName": "touchline", "repositoryName": "__repository__", "jobName": job}
        pairs = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        params = {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": pairs}}
        fields = "__typename ... on LaunchRunSuccess { run { runId } } ... on Error { message }"
        query = f"mutation($params: ExecutionParams!) {{ launchRun(executionParams: $params) {{ {fields} }} }}"
        answer = self._ask(query, params=params)["launchRun"]
        _check("run" in answer, f"{job} was not launched: {answer}")
        return str(answer["run"]["runId"])

    def status(self, run: str) -> str | None:
        """Status of a run; None if there is no such run."""
        query = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
        status: str | None = self._ask(query, run=run)["runOrError"].get("status")
        return status

    def retries(self, run: str) -> list[str]:
        """Statuses of the runs that repeat a run."""
        parent = {"tags": [{"key": "dagster/parent_run_id", "value": run}]}
        query = "query($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results { status } } } }"
        return [result["status"] for result in self._ask(query, filter=parent)["runsOrError"]["results"]]

    def engine_events(self, run: str) -> list[str]:
        """What Dagster itself reported in a run."""
        events = "... on EventConnection { events { ... on EngineEvent { message } } }"
        answer = self._ask(f"query($run: ID!) {{ logsForRun(runId: $run) {{ {events} }} }}", run=run)
        return [event.get("message", "") for event in answer["logsForRun"]["events"]]

    def cancel(self, run: str) -> None:
        """End a run that has no pod."""
        call = "terminateRun(runId: $run, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY)"
        self._ask(f"mutation($run: String!) {{ {call} {{ __typename }} }}", run=run)

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = {"query": query, "variables": variables}
        answer = httpx.post(f"{self._address}/graphql", json=body, timeout=30)
        _check(answer.status_code == 200, f"Dagster answered {answer.status_code}: {answer.text[:500]}")
        return dict(answer.json()["data"])


# -- the steps ---------------------------------------------------------------------------------------------------------


def first_forecast(cluster: Cluster, seconds: float) -> None:
    """Forecasts are computed and published ones are listed, without a command after the installation."""
    deadline = time.monotonic() + seconds

    def ready() -> bool:
        return bool(cluster.resource("deployment", f"{RELEASE}-api")["status"].get("availableReplicas"))

    _wait(ready, seconds, "the API to be ready")  # a port-forward to a pod that does not listen yet would end
    with cluster.forwarded("api", 8000) as api, httpx.Client(base_url=api, timeout=10) as client:
        _wait(lambda: client.post("/predict", json=PAIR).status_code == 200, 30, "POST /predict")
        _say("  POST /predict is answered")

        def published() -> bool:
            matches = client.get("/matches", params={"status": "scheduled"}).json()["items"]
            return any(match["forecast"] for match in matches)

        _wait(published, deadline - time.monotonic(), "published forecasts")


def all_pods_run(cluster: Cluster) -> None:
    """Every container of the release has started; API and worker become ready later, with a model."""

    def run() -> bool:
        pods = cluster.resource("pods", "-l", SERVICES)["items"]
        started = [all(container["started"] for container in pod["status"].get("containerStatuses", ())) for pod in pods
                   if pod["status"]["phase"] == "Running"]  # fmt: skip
        finished = [pod for pod in pods if pod["status"]["phase"] == "Succeeded"]
        return len(started) >= 8 and all(started) and len(started) + len(finished) == len(pods)

    _wait(run, 300, "all pods to run")


def roll_under_load(cluster: Cluster, rate: int, seconds: int) -> None:
    """Rolls, deletions and evictions of API and workers lose no request of a plain client."""
    with cluster.load(rate, seconds) as report:
        ends_at = time.monotonic() + seconds
        rounds = 0
        while time.monotonic() < ends_at - 60:
            rounds += 1
            for component in ("api", "worker"):
                cluster.kubectl("rollout", "restart", f"deployment/{RELEASE}-{component}")
                cluster.rolled_out(component)
            for remove in (lambda pod: cluster.kubectl("delete", "pod", pod, "--wait=false"), cluster.evict):
                for component in ("api", "worker"):
                    if time.monotonic() < ends_at - 40:
                        remove(cluster.pods(component)[0]["metadata"]["name"])
                        cluster.rolled_out(component)
    _say(f"  {rounds} rounds: {json.dumps(report)}")
    _check(rounds > 0, "the load was too short for a single round")
    _check(not report["errors"] and set(report["statuses"]) == {"200"}, "requests were lost")


def killed_run_pod(cluster: Cluster, dagster: Dagster) -> None:
    """A run whose pod is deleted midway is noticed and run again."""
    run = dagster.launch("train_model")

    def running() -> list[dict[str, Any]]:
        pods = cluster.resource("pods", "-l", f"dagster/run-id={run}")["items"]
        return [pod for pod in pods if pod["status"]["phase"] == "Running"]

    _wait(running, 120, "the run's pod")
    time.sleep(5)
    for pod in running():
        cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
    _wait(lambda: dagster.status(run) == "FAILURE", 240, "the run to fail")
    _wait(lambda: dagster.retries(run) == ["SUCCESS"], 300, "its retry to succeed")


def postgresql_replaced(cluster: Cluster, dagster: Dagster) -> None:
    """After PostgreSQL's pod was replaced, the first launch succeeds."""
    dagster.status("fills-the-pool-of-connections")
    cluster.kubectl("delete", "pod", f"{RELEASE}-postgresql-0")
    cluster.kubectl("rollout", "status", f"statefulset/{RELEASE}-postgresql", "--timeout=180s")
    time.sleep(6)  # longer than the webserver keeps connections
    run = dagster.launch("evaluate_candidate")
    _wait(lambda: dagster.status(run) == "SUCCESS", 180, "the run to succeed")


def unplaceable_run(dagster: Dagster) -> None:
    """A run that needs more than any node has says so in its own events."""
    needs = {"container_config": {"resources": {"requests": {"cpu": "512"}}}}
    run = dagster.launch("evaluate_candidate", {"dagster-k8s/config": json.dumps(needs)})
    _wait(lambda: any("Insufficient cpu" in line for line in dagster.engine_events(run)), 120, "the reason")
    dagster.cancel(run)


def uninstalled(cluster: Cluster) -> None:
    """No pod is left; volumes and their credentials are."""
    cluster.helm("uninstall", RELEASE, "--wait")
    _wait(lambda: not cluster.resource("pods", "-l", SERVICES)["items"], 200, "no pods")
    _check(bool(cluster.resource("pvc")["items"]), "the volumes are gone")


# -- helpers -----------------------------------------------------------------------------------------------------------


def _run(command: list[str], stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=600)
    if done.returncode:
        errors = "\n".join(line for line in done.stderr.splitlines() if "level=INFO" not in line)
        sys.exit(f"{' '.join(command)} failed:\n{errors}")
    return done.stdout


def _wait(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx.HTTPError, json.JSONDecodeError):
            if condition():
                return
        if time.monotonic() > deadline:
            sys.exit(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(1)


def _check(holds: bool, problem: str) -> None:
    if not holds:
        sys.exit(problem)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    _say(f"{name} ...")
    started_at = time.monotonic()
    yield
    _say(f"{name}: {time.monotonic() - started_at:.0f} s")


def walk(cluster: Cluster, rate: int, seconds: int) -> None:
    """Every step, in order."""
    installed_at = time.monotonic()
    with _step("installation, until all pods run"):
        cluster.install()
        all_pods_run(cluster)
    with _step("first forecasts, from then"):
        first_forecast(cluster, FIRST_FORECAST_SECONDS - (time.monotonic() - installed_at))
    _say(f"from the installation to published forecasts: {time.monotonic() - installed_at:.0f} s")
    with _step("helm test"):
        cluster.helm("test", RELEASE)
    with _step("upgrade without a change"):
        cluster.upgrade()
    replicas = ("api.replicas=2", "worker.replicas=2")
    with _step("upgrade to two replicas"):
        cluster.upgrade(*replicas)
        cluster.rolled_out("api", "worker")
    with _step(f"rolls, deletions and evictions at {rate} requests a second"):
        roll_under_load(cluster, rate, seconds)
    with cluster.forwarded("dagster-webserver", 3000) as address:
        dagster = Dagster(address)
        with _step("killed run pod, until its retry has succeeded"):
            killed_run_pod(cluster, dagster)
        with _step("PostgreSQL replaced"):
            postgresql_replaced(cluster, dagster)
        with _step("a run that fits on no node"):
            unplaceable_run(dagster)
    with _step("uninstallation"):
        uninstalled(cluster)
    with _step("second installation on the volumes that stayed"):
        cluster.install()
        all_pods_run(cluster)
        first_forecast(cluster, FIRST_FORECAST_SECONDS)


def main() -> None:
    """Parse the command line and walk."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--namespace", default="touchline-walk")
    parser.add_argument("--images", default="localhost/touchline", help="registry and prefix of the images")
    parser.add_argument("--values", default="values-dev.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a value of the chart")
    parser.add_argument("--rate", type=int, default=200, help="requests a second under load")
    parser.add_argument("--seconds", type=int, default=180, help="duration of the load; at least 100")
    parser.add_argument("--keep", action="store_true", help="keep the namespace at the end")
    options = parser.parse_args()
    if not re.fullmatch(r"[a-z0-9-]+", options.namespace) or "KUBECONFIG" not in os.environ:
        parser.error("set KUBECONFIG to the cluster that is meant, and choose a namespace of lower-case letters")
    _run(["kubectl", "create", "namespace", options.namespace])
    try:
        level = "pod-security.kubernetes.io/enforce=restricted"
        _run(["kubectl", "label", "namespace", options.namespace, level])
        cluster = Cluster(options.namespace, options.images, options.values, options.set)
        walk(cluster, options.rate, options.seconds)
        _say("everything held")
    finally:
        if not options.keep:
            _run(["kubectl", "delete", "namespace", options.namespace, "--wait=false"])


if __name__ == "__main__":
    main()
