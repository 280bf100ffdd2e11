"""A release from its installation to its second one, on a real cluster: `make cluster`.

Takes whatever cluster `KUBECONFIG` names; its nodes must have the images, or reach their registry (`--images`). Creates
a namespace of its own under the restricted pod security standard and deletes it at the end. Prints each step with its
seconds, and stops at the first that fails.

Steps: installation, first forecast without a further command, `helm test`, an upgrade without a change, an upgrade to
two replicas, an upgrade that is refused, an autoscaler switched on and off, API and worker rolled, deleted and evicted
under load, a run pod killed midway, PostgreSQL replaced, a run pod that fits on no node, uninstallation and a second
installation on the volumes that stayed. Two steps depend on the cluster: with `--set networkPolicy.enabled=true` its
network plug-in must enforce network policies, and `--drain` drains a node, which also cordons it for a while.
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
REACHABLE = {"stranger": set(), "test": {"api"}, "mlflow-migration": {"postgresql"}}
"""Ports that a pod without labels, and pods with the labels of a component, may reach."""
PORTS = {"api": 8000, "ui": 8501, "mlflow": 5000, "dagster-webserver": 3000, "dagster-code": 3030, "valkey": 6379}
PORTS |= {"rabbitmq": 5672, "postgresql": 5432}
TRY_PORTS = """
import json, socket, sys
reached = []
for name, port in json.loads(sys.argv[1]).items():
    try:
        socket.create_connection((name, port), timeout=3).close()
        reached.append(name)
    except ConnectionRefusedError:
        reached.append(f"{name}, where nothing listens")
    except TimeoutError:
        pass
print(json.dumps(reached))
"""
"""Tries each port; a network policy drops packets, so the connection times out. A name that does not resolve fails."""


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

    def refused(self, *settings: str) -> str:
        """Try an upgrade that must fail; returns what helm says."""
        values = [part for setting in settings for part in ("--set", setting)]
        done = _try(["helm", "-n", self.namespace, "upgrade", RELEASE, *self._chart, *values])
        _check(done.returncode != 0, f"the upgrade with {settings} succeeded")
        return done.stderr

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
        settings = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "load"},
            "data": {"load_client.py": source},
        }
        arguments = ["python", "/load/load_client.py", f"{RELEASE}-api", str(rate), str(seconds), "32"]
        pod = self._pod("load", "test", arguments)
        pod["spec"]["volumes"] = [{"name": "load", "configMap": {"name": "load"}}]
        pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "load", "mountPath": "/load"}]
        self._create(settings, pod)
        _wait(lambda: self._phase("load") == "Running", 60, "the load to start")
        report: dict[str, Any] = {}
        yield report
        report.update(json.loads(self._output("load", seconds + 120)))

    def reached(self, component: str) -> set[str]:
        """Which ports of the release a pod with the labels of a component reaches; without labels for `stranger`."""
        ports = {f"{RELEASE}-{name}": port for name, port in PORTS.items() if self._exists("service", name)}
        self._create(self._pod(component, component, ["python", "-c", TRY_PORTS, json.dumps(ports)]))
        return {name.removeprefix(f"{RELEASE}-") for name in json.loads(self._output(component, 90))}

    def _pod(self, name: str, component: str, command: list[str]) -> dict[str, Any]:
        """A pod of the serving image under the restricted standard; network policies know pods by their labels."""
        image = self.resource("deployment", f"{RELEASE}-api")["spec"]["template"]["spec"]["containers"][0]["image"]
        security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        labels = {"name": "touchline", "instance": RELEASE, "component": component}
        named = {f"app.kubernetes.io/{key}": value for key, value in labels.items()}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {} if component == "stranger" else named},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{"name": name, "image": image, "command": command, "securityContext": security}],
            },
        }

    def _create(self, *objects: dict[str, Any]) -> None:
        """Create objects, in place of those that an earlier attempt left."""
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=listed)
        self.kubectl("create", "-f", "-", stdin=listed)

    def _output(self, pod: str, seconds: float) -> str:
        """Last line that a pod prints; it is deleted afterwards."""
        _wait(lambda: self._phase(pod) in {"Succeeded", "Failed"}, seconds, f"the end of the pod {pod}")
        lines = self.kubectl("logs", pod).splitlines()
        _check(self._phase(pod) == "Succeeded", f"the pod {pod} failed: {lines[-1:]}")
        self.kubectl("delete", "pod", pod)
        return lines[-1]

    def _exists(self, kind: str, name: str) -> bool:
        return bool(self.kubectl("get", kind, f"{RELEASE}-{name}", "--ignore-not-found", "-o", "name"))

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


def policies_hold(cluster: Cluster) -> None:
    """Each pod reaches what its labels allow, and a pod without labels reaches nothing."""
    for component, allowed in REACHABLE.items():
        reached = cluster.reached(component)
        _say(f"  {component} reaches {sorted(reached) or 'nothing'}")
        _check(
            reached == allowed, f"{component} may reach {sorted(allowed)}; does the network plug-in enforce policies?"
        )


def refused_before_anything_changes(cluster: Cluster) -> None:
    """A size that a volume cannot take is refused, and neither a pod nor the release changes."""

    def state() -> tuple[list[str], str]:
        uids = [pod["metadata"]["uid"] for pod in cluster.resource("pods", "-l", SERVICES)["items"]]
        return sorted(uids), cluster.helm("history", RELEASE, "-o", "json")

    before = state()
    said = cluster.refused("postgresql.persistence.size=77Gi")
    _check("postgresql.persistence.size" in said, f"the refusal does not name the value: {said}")
    _check(state() == before, "a refused upgrade changed the release")


def autoscaled(cluster: Cluster, replicas: tuple[str, ...]) -> None:
    """Whether replicas are fixed or an autoscaler sets them: switching ends no pod."""

    def names() -> set[str]:
        return {pod["metadata"]["name"] for component in ("api", "worker") for pod in cluster.pods(component)}

    before = names()
    for settings in (("api.autoscaling.enabled=true", "worker.autoscaling.mode=hpa"), replicas):
        cluster.upgrade(*replicas, *settings)
        for _ in range(10):  # a Deployment scaled down to one ends its pods within a second
            _check(before <= names(), f"upgrading to {settings} ended {sorted(before - names())}")
            time.sleep(1)


def drained(cluster: Cluster, patience: float) -> None:
    """Draining the node of the API comes to an end, and the release runs again afterwards."""
    node = cluster.pods("api")[0]["spec"]["nodeName"]
    budgets = ["--delete-emptydir-data", "--ignore-daemonsets", "--timeout=300s"]
    try:
        cluster.kubectl("drain", node, f"--pod-selector={SERVICES}", *budgets)
        _say(f"  {node} is drained")
    finally:
        cluster.kubectl("uncordon", node)
    all_pods_run(cluster)
    cluster.rolled_out("api", "worker")
    first_forecast(cluster, patience)


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


def _try(command: list[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=600)


def _run(command: list[str], stdin: str | None = None) -> str:
    done = _try(command, stdin)
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


def walk(cluster: Cluster, rate: int, seconds: int, patience: float, drain: bool) -> None:
    """Every step, in order."""
    installed_at = time.monotonic()
    with _step("installation, until all pods run"):
        cluster.install()
        all_pods_run(cluster)
    with _step("first forecasts, from then"):
        first_forecast(cluster, patience - (time.monotonic() - installed_at))
    _say(f"from the installation to published forecasts: {time.monotonic() - installed_at:.0f} s")
    with _step("helm test"):
        cluster.helm("test", RELEASE)
    if cluster.resource("networkpolicies")["items"]:
        with _step("network policies"):
            policies_hold(cluster)
    with _step("upgrade without a change"):
        cluster.upgrade()
    replicas = ("api.replicas=2", "worker.replicas=2")
    with _step("upgrade to two replicas"):
        cluster.upgrade(*replicas)
        cluster.rolled_out("api", "worker")
    with _step("an upgrade that is refused"):
        refused_before_anything_changes(cluster)
    with _step("autoscaling on and off"):
        autoscaled(cluster, replicas)
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
    if drain:
        with _step("drained node, until forecasts are served again"):
            drained(cluster, patience)
    with _step("uninstallation"):
        uninstalled(cluster)
    with _step("second installation on the volumes that stayed"):
        cluster.install()
        all_pods_run(cluster)
        first_forecast(cluster, patience)


def main() -> None:
    """Parse the command line and walk."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--namespace", default="touchline-walk")
    parser.add_argument("--images", default="localhost/touchline", help="registry and prefix of the images")
    parser.add_argument("--values", default="values-dev.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a value of the chart")
    parser.add_argument("--rate", type=int, default=200, help="requests a second under load")
    parser.add_argument("--seconds", type=int, default=180, help="duration of the load; at least 100")
    parser.add_argument("--patience", type=float, default=180, help="seconds until forecasts must be served")
    parser.add_argument("--drain", action="store_true", help="drain a node; needs as many nodes as RabbitMQ has")
    parser.add_argument("--keep", action="store_true", help="keep the namespace at the end")
    options = parser.parse_args()
    if not re.fullmatch(r"[a-z0-9-]+", options.namespace) or "KUBECONFIG" not in os.environ:
        parser.error("set KUBECONFIG to the cluster that is meant, and choose a namespace of lower-case letters")
    _run(["kubectl", "create", "namespace", options.namespace])
    try:
        level = "pod-security.kubernetes.io/enforce=restricted"
        _run(["kubectl", "label", "namespace", options.namespace, level])
        cluster = Cluster(options.namespace, options.images, options.values, options.set)
        walk(cluster, options.rate, options.seconds, options.patience, options.drain)
        _say("everything held")
    finally:
        if not options.keep:
            _run(["kubectl", "delete", "namespace", options.namespace, "--wait=false"])


if __name__ == "__main__":
    main()
