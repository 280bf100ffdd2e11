"""House rules over everything that the chart renders. Each rule is shown to notice an object that breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.utils.quantity import parse_quantity

from serving.batching import TIME_LIMIT
from serving.settings import ServingSettings

Thing = dict[str, Any]
Rule = Callable[[list[Thing]], list[str]]
WORKLOADS = {"Deployment", "StatefulSet", "Job", "Pod"}
# Of the kinds of volumes that the restricted profile allows, those that are used.
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}


def of(things: list[Thing], *kinds: str) -> list[Thing]:
    """Objects of some kinds."""
    return [thing for thing in things if thing["kind"] in kinds]


def named(things: list[Thing], kind: str, name: str) -> Thing:
    """One object."""
    return next(thing for thing in of(things, kind) if thing["metadata"]["name"] == name)


def pods(things: list[Thing]) -> Iterator[tuple[str, Thing, Thing]]:
    """(name, labels, pod spec) of all pods: those of workloads, and Dagster's run pods out of its configuration."""
    for thing in of(things, *WORKLOADS):
        template = thing["spec"]["template"] if thing["kind"] != "Pod" else thing
        yield thing["metadata"]["name"], template["metadata"]["labels"], template["spec"]
    for config in of(things, "ConfigMap"):
        if "dagster.yaml" in config["data"]:
            run = yaml.safe_load(config["data"]["dagster.yaml"])["run_launcher"]["config"]["run_k8s_config"]
            container = {"name": "run", "image": "from-the-code-server:1", **run["container_config"]}
            yield (
                "dagster-run",
                run["pod_template_spec_metadata"]["labels"],
                {**run["pod_spec_config"], "containers": [container], "serviceAccountName": "touchline-dagster"},
            )


def containers(spec: Thing) -> list[Thing]:
    """All containers of a pod."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def matches(selector: Thing, labels: Thing) -> bool:
    """Whether a label selector chooses a pod."""
    wanted = selector.get("matchLabels", {})
    among = all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))
    return among and all(labels.get(key) == value for key, value in wanted.items())


def restricted_pods(things: list[Thing]) -> list[str]:
    """Kubernetes' restricted profile, a read-only root, a numeric user, and no token that nobody uses."""
    found = []
    for name, _, spec in pods(things):
        pod = spec["securityContext"]
        if not (pod["runAsNonRoot"] and pod["runAsUser"] >= 1 and pod["seccompProfile"]["type"] == "RuntimeDefault"):
            found.append(f"{name}: may run as root or without seccomp")
        talks_to_kubernetes = name.removeprefix("touchline-") in {"dagster-webserver", "dagster-daemon", "dagster-run"}
        if spec["automountServiceAccountToken"] is not talks_to_kubernetes:
            found.append(f"{name}: token of the service account")
        if spec["enableServiceLinks"]:
            found.append(f"{name}: service links would set TOUCHLINE_ variables")
        kinds = {kind for volume in spec.get("volumes", []) for kind in volume.keys() - {"name"}}
        host_ports = [port for one in containers(spec) for port in one.get("ports", []) if "hostPort" in port]
        if kinds - VOLUMES or host_ports or any(spec.get(f"host{what}") for what in ("Network", "PID", "IPC")):
            found.append(f"{name}: reaches into the node")
        for container in containers(spec):
            security = container["securityContext"]
            good = security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
            if not good or security["capabilities"] != {"drop": ["ALL"]}:
                found.append(f"{name}/{container['name']}: not hardened")
    return found


def resources(things: list[Thing]) -> list[str]:
    """CPU and memory requested, memory limited, CPU not."""
    found = []
    for name, _, spec in pods(things):
        for container in containers(spec):
            asked = container.get("resources", {})
            if not {"cpu", "memory"} <= asked.get("requests", {}).keys() or list(asked.get("limits", {})) != ["memory"]:
                found.append(f"{name}/{container['name']}: {asked}")
    return found


def probes(things: list[Thing]) -> list[str]:
    """What serves says when it is ready and, but for RabbitMQ, when it is dead; on ports that exist."""
    found = []
    for thing in of(things, "Deployment", "StatefulSet"):
        name, spec = thing["metadata"]["name"], thing["spec"]["template"]["spec"]
        for container in spec["containers"]:
            wanted = {"readinessProbe", "livenessProbe"}
            if "rabbitmq" in name:
                wanted = {"readinessProbe"}
            if "daemon" in name:
                wanted = {"livenessProbe"}
            found += [f"{name}: no {probe}" for probe in wanted - container.keys()]
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                for kind in ("httpGet", "tcpSocket"):
                    port = container.get(probe, {}).get(kind, {}).get("port")
                    if port is not None and port not in ports:
                        found.append(f"{name}: {probe} asks port {port}")
    return found


def images(things: list[Thing]) -> list[str]:
    """A tag on every image, and never `latest`."""
    return [
        f"{name}: {container['image']}"
        for name, _, spec in pods(things)
        for container in containers(spec)
        if ":" not in container["image"].rsplit("/", 1)[-1] or container["image"].endswith(":latest")
    ]


def selectors(things: list[Thing]) -> list[str]:
    """Every selector chooses pods that exist, workloads their own only, and Services reach ports that these open."""
    found = []
    everything = list(pods(things))
    operated = {thing["metadata"]["name"] for thing in of(things, "RabbitmqCluster", "Cluster")}
    for thing in things:
        name, kind = thing["metadata"]["name"], thing["kind"]
        if kind in {"Deployment", "StatefulSet"}:
            chosen = [pod for pod, labels, _ in everything if matches(thing["spec"]["selector"], labels)]
            if chosen != [name]:
                found.append(f"{kind} {name} selects {chosen}")
        if kind == "Service":
            hit = [
                spec for _, labels, spec in everything if matches({"matchLabels": thing["spec"]["selector"]}, labels)
            ]
            open_ports = {port["name"] for spec in hit for one in spec["containers"] for port in one.get("ports", [])}
            closed = {port["targetPort"] for port in thing["spec"]["ports"]} - open_ports
            if not hit or closed:
                found.append(f"Service {name}: {closed or 'no pods'}")
        theirs = kind in {"PodDisruptionBudget", "PodMonitor"} and name not in operated
        if theirs and not any(matches(thing["spec"]["selector"], labels) for _, labels, _ in everything):
            found.append(f"{kind} {name}: no pods")
        if kind == "ServiceMonitor":
            services = [
                one for one in of(things, "Service") if matches(thing["spec"]["selector"], one["metadata"]["labels"])
            ]
            ports = {port["name"] for service in services for port in service["spec"]["ports"]}
            if not {endpoint["port"] for endpoint in thing["spec"]["endpoints"]} <= ports:
                found.append(f"ServiceMonitor {name}: no such port")
    return found


def references(things: list[Thing]) -> list[str]:
    """Every Secret, ConfigMap, claim and service account that a pod names is made here, with the key, or was given."""
    given = {"touchline-object-storage", "touchline-api-keys", "touchline-ui-key"}
    secrets = {one["metadata"]["name"]: set(one["stringData"]) for one in of(things, "Secret")}
    configs = {one["metadata"]["name"]: set(one["data"]) for one in of(things, "ConfigMap")}
    claims = {one["metadata"]["name"] for one in of(things, "PersistentVolumeClaim")}
    accounts = {one["metadata"]["name"] for one in of(things, "ServiceAccount")} | {None}
    found = []
    for name, _, spec in pods(things):
        if spec.get("serviceAccountName") not in accounts:
            found.append(f"{name}: service account {spec['serviceAccountName']}")
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        for volume in volumes.values():
            secret, config = volume.get("secret", {}), volume.get("configMap", {})
            keys = {item["key"] for item in secret.get("items", [])}
            if secret and secret["secretName"] not in given and not keys <= secrets.get(secret["secretName"], set()):
                found.append(f"{name}: Secret {secret['secretName']} {keys}")
            if config and config["name"] not in configs:
                found.append(f"{name}: ConfigMap {config['name']}")
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claim not in claims:
                found.append(f"{name}: claim {claim}")
        for container in containers(spec):
            for variable in container.get("env", []):
                wanted = variable.get("valueFrom", {}).get("secretKeyRef")
                if wanted and wanted["name"] not in given and wanted["key"] not in secrets.get(wanted["name"], set()):
                    found.append(f"{name}: {variable['name']} from {wanted}")
            owner = next((one for one in of(things, "StatefulSet") if one["metadata"]["name"] == name), None)
            templates = owner["spec"].get("volumeClaimTemplates", []) if owner else []
            known = volumes.keys() | {one["metadata"]["name"] for one in templates}
            found += [
                f"{name}: mount {mount['name']}"
                for mount in container.get("volumeMounts", [])
                if mount["name"] not in known
            ]
    return found


def one_scaler(things: list[Thing]) -> list[str]:
    """Whatever is scaled has one scaler and no fixed number of replicas."""
    found, scaled = [], []
    for thing in of(things, "HorizontalPodAutoscaler", "ScaledObject"):
        target = thing["spec"]["scaleTargetRef"]["name"]
        scaled.append(target)
        if "replicas" in named(things, "Deployment", target)["spec"]:
            found.append(f"{target} has replicas beside its scaler")
    return found + [f"{name} has two scalers" for name in set(scaled) if scaled.count(name) > 1]


def budgets(things: list[Thing]) -> list[str]:
    """A disruption budget where more than one pod runs, and only there: one of one pod blocks every drain."""
    found = []
    least = {one["spec"]["scaleTargetRef"]["name"]: one["spec"].get("minReplicas") or one["spec"]["minReplicaCount"]
             for one in of(things, "HorizontalPodAutoscaler", "ScaledObject")}  # fmt: skip
    for thing in of(things, "Deployment", "StatefulSet", "RabbitmqCluster"):  # CloudNativePG makes its own
        name = thing["metadata"]["name"]
        replicas = thing["spec"].get("replicas") or least[name]
        has = any(one["metadata"]["name"] == name for one in of(things, "PodDisruptionBudget"))
        if has is not (replicas > 1):
            found.append(f"{name}: {replicas} replicas, budget: {has}")
    return found


def spread(things: list[Thing]) -> list[str]:
    """What has several pods spreads them over nodes and zones."""
    found = []
    for thing in of(things, "PodDisruptionBudget"):
        owner = next((one for one in of(things, "Deployment", "StatefulSet")
                      if one["metadata"]["name"] == thing["metadata"]["name"]), None)  # fmt: skip
        if owner is None:  # an operator's pods, spread by the operator
            continue
        constraints = owner["spec"]["template"]["spec"].get("topologySpreadConstraints", [])
        keys = {one["topologyKey"] for one in constraints}
        mine = all(
            one["labelSelector"]["matchLabels"] == owner["spec"]["selector"]["matchLabels"] for one in constraints
        )
        if keys != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"} or not mine:
            found.append(owner["metadata"]["name"])
    return found


def graceful(things: list[Thing]) -> list[str]:
    """A pod gets longer to stop than what it still has to finish."""
    found = []
    longest = {
        "touchline-api": ServingSettings.model_fields["sync_timeout"].default + 10 + 5,  # after 10 s of draining
        "touchline-worker": TIME_LIMIT,
        "touchline-postgresql": 60,
    }
    for thing in of(things, "Deployment", "StatefulSet"):
        spec = thing["spec"]["template"]["spec"]
        name, grace = thing["metadata"]["name"], spec["terminationGracePeriodSeconds"]
        if grace <= longest.get(name, 15):
            found.append(f"{name}: {grace} s")
        found += [f"{name}: a shell as the first process gets the signals" for one in spec["containers"]
                  if one.get("command", [""])[0] in {"sh", "bash", "/bin/sh"}]  # fmt: skip
    return found


RULES: list[Rule] = [
    restricted_pods, resources, probes, images, selectors, references, one_scaler, budgets, spread, graceful,
]  # fmt: skip


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
        (budgets, "PodDisruptionBudget", "api", "metadata.name", "touchline-ui"),
        (budgets, "HorizontalPodAutoscaler", "api", "spec.minReplicas", 1),
        (spread, "Deployment", "api", f"{POD}.topologySpreadConstraints", []),
        (spread, "Deployment", "api", f"{POD}.topologySpreadConstraints.0.labelSelector.matchLabels", {"app": "x"}),
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


def test_requests_are_at_least_what_was_measured(chart: Any, repository: Path) -> None:
    """The table of the README, as `python -m tests.benchmarks.sizing` prints it, against the default values."""
    line = re.compile(r"^\| ([\w ]+) \| ([\d–]+) \| (\d+)[^|]* \| [\d.–]+ \| ([\d.–]+) \|", re.M)
    table = [
        (row, max(int(rest.replace("–", "0")), int(loaded)), cores)
        for row, rest, loaded, cores in line.findall((repository / "helm" / "README.md").read_text())
    ]
    assert {row for row, _, _ in table} == ROWS.keys()
    asked = {
        name.removeprefix("touchline-"): containers(spec)[-1]["resources"] for name, _, spec in pods(chart.render())
    }
    for row, megabytes, cores in table:
        requests, limits = asked[ROWS[row]]["requests"], asked[ROWS[row]]["limits"]
        assert parse_quantity(requests["memory"]) >= megabytes * 10**6, row
        assert parse_quantity(limits["memory"]) >= 1.5 * megabytes * 10**6, row
        assert cores == "–" or parse_quantity(requests["cpu"]) >= float(cores), row
