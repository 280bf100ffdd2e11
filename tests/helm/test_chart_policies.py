"""The house rules over everything that the chart renders. Each rule is shown to notice an object that breaks it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.utils.quantity import parse_quantity

from tests.support.chart_policies import (
    RULES,
    Rule,
    Thing,
    budgets,
    containers,
    dagster_instances,
    graceful,
    images,
    named,
    one_scaler,
    pods,
    probes,
    references,
    resources,
    restricted_pods,
    rights,
    selectors,
    spread,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_everything_rendered_keeps(rule: Rule, objects: list[Thing]) -> None:
    assert rule(objects) == []


def spoil(things: list[Thing], kind: str, name: str, path: str, value: Any) -> list[Thing]:
    """Set a value in one object; None takes it away."""
    node: Any = named(things, kind, name)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return things


POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"


NODE = {"name": "node", "hostPath": {"path": "/"}}
SPOILT: list[tuple[Rule, str, str, str, Any]] = [
        (restricted_pods, "Deployment", "api", f"{POD}.securityContext.runAsNonRoot", False),
        (restricted_pods, "StatefulSet", "postgresql", f"{POD}.securityContext.runAsUser", 0),
        (restricted_pods, "Deployment", "ui", f"{POD}.securityContext.seccompProfile.type", "Unconfined"),
        (restricted_pods, "Job", "dagster-migration", f"{CONTAINER}.securityContext.allowPrivilegeEscalation", True),
        (restricted_pods, "Deployment", "dagster-daemon", f"{POD}.automountServiceAccountToken", False),
        (restricted_pods, "Deployment", "worker", f"{POD}.volumes.0", NODE),
        (restricted_pods, "Deployment", "api", f"{CONTAINER}.ports.0.hostPort", 80),
        (restricted_pods, "Deployment", "api", f"{POD}.hostIPC", True),
        (restricted_pods, "Deployment", "api", f"{POD}.automountServiceAccountToken", True),
        (restricted_pods, "Deployment", "worker", f"{POD}.enableServiceLinks", True),
        (restricted_pods, "Deployment", "ui", f"{POD}.hostNetwork", True),
        (restricted_pods, "StatefulSet", "valkey", f"{CONTAINER}.securityContext.readOnlyRootFilesystem", False),
        (restricted_pods, "Deployment", "mlflow", f"{CONTAINER}.securityContext.capabilities.add", ["NET_RAW"]),
        (resources, "Deployment", "api", f"{CONTAINER}.resources.requests.memory", None),
        (resources, "StatefulSet", "rabbitmq", f"{POD}.initContainers.0.resources", {}),
        (resources, "Deployment", "worker", f"{CONTAINER}.resources.limits.cpu", "1"),
        (probes, "Deployment", "worker", f"{CONTAINER}.livenessProbe", None),
        (probes, "Deployment", "dagster-daemon", f"{CONTAINER}.livenessProbe", None),
        (probes, "StatefulSet", "rabbitmq", f"{CONTAINER}.readinessProbe", None),
        (probes, "Deployment", "api", f"{CONTAINER}.readinessProbe.httpGet.port", "https"),
        (images, "Deployment", "api", f"{CONTAINER}.image", "registry.example:5000/touchline-serving"),
        (images, "Deployment", "api", f"{CONTAINER}.image", "touchline-serving:latest"),
        (selectors, "Service", "api", "spec.ports.0.targetPort", "https"),
        (selectors, "Service", "mlflow", "spec.selector", {"app.kubernetes.io/component": "ml-flow"}),
        (selectors, "Deployment", "api", "spec.selector.matchLabels", {"app.kubernetes.io/name": "touchline"}),
        (selectors, "PodMonitor", "worker", "spec.selector.matchLabels", {"app.kubernetes.io/component": "workers"}),
        (selectors, "ServiceMonitor", "api", "spec.endpoints.0.port", "metrics"),
        (references, "Secret", "broker", "stringData.url", None),
        (references, "Secret", "results", "stringData", {"url": "but no users.acl"}),
        (references, "Deployment", "api", f"{POD}.serviceAccountName", "nobody"),
        (references, "Deployment", "api", f"{POD}.volumes", []),
        (references, "ConfigMap", "dagster-instance", "metadata.name", "other"),
        (references, "PersistentVolumeClaim", "lake", "metadata.name", "other"),
        (one_scaler, "Deployment", "api", "spec.replicas", 2),
        (one_scaler, "HorizontalPodAutoscaler", "api", "spec.scaleTargetRef.name", "touchline-worker"),
        (budgets, "PodDisruptionBudget", "rabbitmq", "metadata.name", "touchline-ui"),
        (budgets, "PodDisruptionBudget", "rabbitmq", "metadata.name", "touchline-api"),
        (budgets, "StatefulSet", "rabbitmq", "spec.replicas", 1),
        (spread, "Deployment", "api", f"{POD}.topologySpreadConstraints", []),
        (spread, "Deployment", "api", f"{POD}.topologySpreadConstraints.0.labelSelector.matchLabels", {"app": "x"}),
        (rights, "Role", "dagster", "rules.0.verbs", ["*"]),
        (rights, "Role", "dagster", "rules.2.resources", ["pods", "secrets"]),
        (rights, "Role", "dagster", "kind", "ClusterRole"),
        (rights, "RoleBinding", "dagster", "subjects.0.name", "default"),
        (dagster_instances, "Job", "dagster-migration", f"{POD}.automountServiceAccountToken", False),
        (dagster_instances, "Job", "dagster-migration", f"{POD}.serviceAccountName", "default"),
        (dagster_instances, "Job", "dagster-migration", f"{CONTAINER}.env", []),
        (dagster_instances, "NetworkPolicy", "dagster-migration", "spec.egress", []),
        (graceful, "Deployment", "worker", f"{POD}.terminationGracePeriodSeconds", 90),
        (graceful, "Deployment", "api", f"{POD}.terminationGracePeriodSeconds", 45),
        (graceful, "Deployment", "worker", f"{CONTAINER}.command", ["sh", "-c", "python -m serving.worker"]),
    ]  # fmt: skip


@pytest.mark.parametrize(("rule", "kind", "name", "path", "value"), SPOILT)
def test_a_rule_notices(plain: list[Thing], rule: Rule, kind: str, name: str, path: str, value: Any) -> None:
    assert rule(spoil(plain, kind, f"touchline-{name}", path, value))


def test_every_rule_is_shown_to_notice_something() -> None:
    assert {rule for rule, *_ in SPOILT} == set(RULES)


def test_a_rule_notices_a_weak_run_pod_of_dagster(plain: list[Thing]) -> None:
    config = named(plain, "ConfigMap", "touchline-dagster-instance")
    instance = yaml.safe_load(config["data"]["dagster.yaml"])
    run = instance["run_launcher"]["config"]["run_k8s_config"]
    run["container_config"]["securityContext"]["readOnlyRootFilesystem"] = False
    run["container_config"]["resources"] = {}
    config["data"]["dagster.yaml"] = yaml.safe_dump(instance)
    assert restricted_pods(plain)
    assert resources(plain)


ROWS = {
    "API": "api",
    "worker": "worker",
    "MLflow": "mlflow",
    "match viewer": "ui",
    "Dagster code server": "dagster-code",
    "Dagster webserver": "dagster-webserver",
    "Dagster daemon": "dagster-daemon",
    "run": "dagster-run",
    "RabbitMQ": "rabbitmq",
    "Valkey": "valkey",
    "PostgreSQL": "postgresql",
}


def test_the_development_profile_with_a_run_fits_a_small_node(chart: Any) -> None:
    """It leaves 950m and about 700Mi of two cores and 4 GiB to the kubelet and the cluster's own pods."""
    requests = [
        container["resources"]["requests"]
        for name, _, spec in pods(chart.render("values-dev.yaml"))
        for container in spec["containers"]
        if not name.endswith("-test")
    ]
    assert len(requests) == len(ROWS)
    assert sum(parse_quantity(request["cpu"]) for request in requests) <= parse_quantity("1050m")
    assert sum(parse_quantity(request["memory"]) for request in requests) <= parse_quantity("3400Mi")
    document = chart.render("values-dev.yaml")
    assert {
        thing["spec"].get("replicas", 1) for thing in document if thing["kind"] in ("Deployment", "StatefulSet")
    } == {1}
    instance = yaml.safe_load(named(document, "ConfigMap", "touchline-dagster-instance")["data"]["dagster.yaml"])
    assert instance["concurrency"]["runs"]["max_concurrent_runs"] == 1
    variables = instance["run_launcher"]["config"]["run_k8s_config"]["container_config"]["env"]
    assert {"name": "TOUCHLINE_K8S_STEP_PODS", "value": "false"} in variables


@pytest.mark.parametrize("profile", ["values.yaml", "values-dev.yaml"])
def test_requests_are_at_least_what_was_measured(chart: Any, repository: Path, profile: str) -> None:
    """The table of the README, as `python -m tests.benchmarks.sizing` prints it, against the default values."""
    line = re.compile(r"^\| ([\w ]+) \| ([\d–]+) \| (\d+)[^|]* \| [\d.–]+ \| ([\d.–]+) \|", re.M)
    table = [
        (row, max(int(rest.replace("–", "0")), int(loaded)), cores)
        for row, rest, loaded, cores in line.findall((repository / "helm" / "README.md").read_text())
    ]
    assert {row for row, _, _ in table} == ROWS.keys()
    asked = {
        name.removeprefix("touchline-"): containers(spec)[-1]["resources"]
        for name, _, spec in pods(chart.render(profile))
    }
    for row, megabytes, cores in table:
        requests, limits = asked[ROWS[row]]["requests"], asked[ROWS[row]]["limits"]
        assert parse_quantity(requests["memory"]) >= megabytes * 10**6, row
        assert parse_quantity(limits["memory"]) >= 1.5 * megabytes * 10**6, row
        assert cores == "–" or parse_quantity(requests["cpu"]) >= float(cores), row
