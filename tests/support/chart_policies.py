"""Rules for everything that the chart renders. test_chart_policies applies them and tests that they find violations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from serving.settings import ServingSettings
from serving.wire.limits import CALL_TIME_LIMIT_SECONDS

Thing = dict[str, Any]
Rule = Callable[[list[Thing]], list[str]]
WORKLOADS = {"Deployment", "StatefulSet", "Job", "Pod"}
LAUNCHER_PODS = {"dagster-webserver", "dagster-daemon", "dagster-code", "dagster-run", "dagster-migration"}
"""Pods that load Dagster's run launcher, which does not start without a token; the code server asks it about pods."""
# The volume types that the chart uses, all allowed by the restricted profile.
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}


def of(things: list[Thing], *kinds: str) -> list[Thing]:
    """The objects of these kinds."""
    return [thing for thing in things if thing["kind"] in kinds]


def named(things: list[Thing], kind: str, name: str) -> Thing:
    """The object of this kind and name."""
    return next(thing for thing in of(things, kind) if thing["metadata"]["name"] == name)


def pods(things: list[Thing]) -> Iterator[tuple[str, Thing, Thing]]:
    """(name, labels, pod spec) of all pods: those of workloads, and Dagster's run pods from its configuration."""
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
    required_labels = selector.get("matchLabels", {})
    among = all(
        labels.get(expression["key"]) in expression["values"] for expression in selector.get("matchExpressions", [])
    )
    return among and all(labels.get(key) == value for key, value in required_labels.items())


def restricted_pods(things: list[Thing]) -> list[str]:
    """Pods meet Kubernetes' restricted profile, with a read-only root, a numeric user and no unused token."""
    violations = []
    for name, _, spec in pods(things):
        pod = spec["securityContext"]
        if not (pod["runAsNonRoot"] and pod["runAsUser"] >= 1 and pod["seccompProfile"]["type"] == "RuntimeDefault"):
            violations.append(f"{name}: may run as root or without seccomp")
        needs_token = name.removeprefix("touchline-") in LAUNCHER_PODS
        if spec["automountServiceAccountToken"] is not needs_token:
            violations.append(f"{name}: token of the service account")
        if spec["enableServiceLinks"]:
            violations.append(f"{name}: service links would set TOUCHLINE_ variables")
        kinds = {kind for volume in spec.get("volumes", []) for kind in volume.keys() - {"name"}}
        host_ports = [
            port for container in containers(spec) for port in container.get("ports", []) if "hostPort" in port
        ]
        if kinds - VOLUMES or host_ports or any(spec.get(f"host{what}") for what in ("Network", "PID", "IPC")):
            violations.append(f"{name}: reaches into the node")
        for container in containers(spec):
            security = container["securityContext"]
            good = security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
            if not good or security["capabilities"] != {"drop": ["ALL"]}:
                violations.append(f"{name}/{container['name']}: not hardened")
    return violations


def resources(things: list[Thing]) -> list[str]:
    """Every container requests CPU and memory, and limits memory but not CPU."""
    violations = []
    for name, _, spec in pods(things):
        for container in containers(spec):
            resources_of = container.get("resources", {})
            if not {"cpu", "memory"} <= resources_of.get("requests", {}).keys() or list(
                resources_of.get("limits", {})
            ) != ["memory"]:
                violations.append(f"{name}/{container['name']}: {resources_of}")
    return violations


def probes(things: list[Thing]) -> list[str]:
    """Servers have a readiness probe and, except for RabbitMQ, a liveness probe. Probes use ports that exist."""
    violations = []
    for thing in of(things, "Deployment", "StatefulSet"):
        name, spec = thing["metadata"]["name"], thing["spec"]["template"]["spec"]
        for container in spec["containers"]:
            required_probes = {"readinessProbe", "livenessProbe"}
            if "rabbitmq" in name:
                required_probes = {"readinessProbe"}
            if "daemon" in name:
                required_probes = {"livenessProbe"}
            violations += [f"{name}: no {probe}" for probe in required_probes - container.keys()]
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                for kind in ("httpGet", "tcpSocket"):
                    port = container.get(probe, {}).get(kind, {}).get("port")
                    if port is not None and port not in ports:
                        violations.append(f"{name}: {probe} asks port {port}")
    return violations


def images(things: list[Thing]) -> list[str]:
    """Every image has a tag, and the tag is not `latest`."""
    return [
        f"{name}: {container['image']}"
        for name, _, spec in pods(things)
        for container in containers(spec)
        if ":" not in container["image"].rsplit("/", 1)[-1] or container["image"].endswith(":latest")
    ]


def selectors(things: list[Thing]) -> list[str]:
    """Selectors match pods, those of workloads only their own, and Services target ports that their pods open."""
    violations = []
    everything = list(pods(things))
    operated = {thing["metadata"]["name"] for thing in of(things, "RabbitmqCluster", "Cluster")}
    for thing in things:
        name, kind = thing["metadata"]["name"], thing["kind"]
        if kind in {"Deployment", "StatefulSet"}:
            chosen = [pod for pod, labels, _ in everything if matches(thing["spec"]["selector"], labels)]
            if chosen != [name]:
                violations.append(f"{kind} {name} selects {chosen}")
        if kind == "Service":
            hit = [
                spec for _, labels, spec in everything if matches({"matchLabels": thing["spec"]["selector"]}, labels)
            ]
            open_ports = {
                port["name"] for spec in hit for container in spec["containers"] for port in container.get("ports", [])
            }
            closed = {port["targetPort"] for port in thing["spec"]["ports"]} - open_ports
            if not hit or closed:
                violations.append(f"Service {name}: {closed or 'no pods'}")
        theirs = kind in {"PodDisruptionBudget", "PodMonitor"} and name not in operated
        if theirs and not any(matches(thing["spec"]["selector"], labels) for _, labels, _ in everything):
            violations.append(f"{kind} {name}: no pods")
        if kind == "ServiceMonitor":
            services = [
                service
                for service in of(things, "Service")
                if matches(thing["spec"]["selector"], service["metadata"]["labels"])
            ]
            ports = {port["name"] for service in services for port in service["spec"]["ports"]}
            if not {endpoint["port"] for endpoint in thing["spec"]["endpoints"]} <= ports:
                violations.append(f"ServiceMonitor {name}: no such port")
    return violations


def references(things: list[Thing]) -> list[str]:
    """Every Secret, ConfigMap, claim and service account of a pod is in the chart, with the key, or made elsewhere."""
    made_elsewhere = {"touchline-object-storage", "touchline-api-keys", "touchline-ui-key"}
    secrets = {secret["metadata"]["name"]: set(secret["stringData"]) for secret in of(things, "Secret")}
    configs = {config["metadata"]["name"]: set(config["data"]) for config in of(things, "ConfigMap")}
    claims = {claim["metadata"]["name"] for claim in of(things, "PersistentVolumeClaim")}
    accounts = {account["metadata"]["name"] for account in of(things, "ServiceAccount")} | {None}
    violations = []
    for name, _, spec in pods(things):
        if spec.get("serviceAccountName") not in accounts:
            violations.append(f"{name}: service account {spec['serviceAccountName']}")
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        for volume in volumes.values():
            secret, config = volume.get("secret", {}), volume.get("configMap", {})
            keys = {item["key"] for item in secret.get("items", [])}
            if (
                secret
                and secret["secretName"] not in made_elsewhere
                and not keys <= secrets.get(secret["secretName"], set())
            ):
                violations.append(f"{name}: Secret {secret['secretName']} {keys}")
            if config and config["name"] not in configs:
                violations.append(f"{name}: ConfigMap {config['name']}")
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claim not in claims:
                violations.append(f"{name}: claim {claim}")
        for container in containers(spec):
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if (
                    reference
                    and reference["name"] not in made_elsewhere
                    and reference["key"] not in secrets.get(reference["name"], set())
                ):
                    violations.append(f"{name}: {variable['name']} from {reference}")
            owner = next(
                (workload for workload in of(things, "StatefulSet") if workload["metadata"]["name"] == name), None
            )
            templates = owner["spec"].get("volumeClaimTemplates", []) if owner else []
            available = volumes.keys() | {template["metadata"]["name"] for template in templates}
            violations += [
                f"{name}: mount {mount['name']}"
                for mount in container.get("volumeMounts", [])
                if mount["name"] not in available
            ]
    return violations


def one_scaler(things: list[Thing]) -> list[str]:
    """Every scaled workload has one scaler and no fixed number of replicas."""
    violations, scaled = [], []
    for thing in of(things, "HorizontalPodAutoscaler", "ScaledObject"):
        target = thing["spec"]["scaleTargetRef"]["name"]
        scaled.append(target)
        if "replicas" in named(things, "Deployment", target)["spec"]:
            violations.append(f"{target} has replicas beside its scaler")
    return violations + [f"{name} has two scalers" for name in set(scaled) if scaled.count(name) > 1]


def budgets(things: list[Thing]) -> list[str]:
    """Workloads with several pods have a disruption budget. Others have none, because it would block every drain.

    So would one of pods that an affinity holds on the node of the others, which an evicted pod finds nowhere else.
    """
    violations = []
    for thing, replicas in _fewest(things):
        name = thing["metadata"]["name"]
        has = any(budget["metadata"]["name"] == name for budget in of(things, "PodDisruptionBudget"))
        affinity = thing["spec"].get("template", {}).get("spec", {}).get("affinity", {}).get("podAffinity", {})
        may_move = "requiredDuringSchedulingIgnoredDuringExecution" not in affinity
        if has is not (replicas > 1 and may_move):
            violations.append(f"{name}: {replicas} replicas, budget: {has}")
    return violations


def _fewest(things: list[Thing]) -> Iterator[tuple[Thing, int]]:
    """Everything that has pods, with the smallest number of them; CloudNativePG looks after its own."""
    least = {
        scaler["spec"]["scaleTargetRef"]["name"]: scaler["spec"].get("minReplicas") or scaler["spec"]["minReplicaCount"]
        for scaler in of(things, "HorizontalPodAutoscaler", "ScaledObject")
    }
    for thing in of(things, "Deployment", "StatefulSet", "RabbitmqCluster"):
        yield thing, thing["spec"].get("replicas") or least[thing["metadata"]["name"]]


def spread(things: list[Thing]) -> list[str]:
    """Workloads with several pods spread them over nodes and zones."""
    violations = []
    for owner, replicas in _fewest(things):
        if replicas < 2 or owner["kind"] == "RabbitmqCluster":  # whose operator spreads them
            continue
        constraints = owner["spec"]["template"]["spec"].get("topologySpreadConstraints", [])
        keys = {constraint["topologyKey"] for constraint in constraints}
        mine = all(
            constraint["labelSelector"]["matchLabels"] == owner["spec"]["selector"]["matchLabels"]
            for constraint in constraints
        )
        if keys != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"} or not mine:
            violations.append(owner["metadata"]["name"])
    return violations


def graceful(things: list[Thing]) -> list[str]:
    """A pod has more time to stop than its unfinished work takes."""
    violations = []
    longest = {
        "touchline-api": ServingSettings.model_fields["sync_timeout_seconds"].default
        + 10
        + 5,  # after 10 s of draining
        "touchline-worker": CALL_TIME_LIMIT_SECONDS,
        "touchline-postgresql": 60,
    }
    for thing in of(things, "Deployment", "StatefulSet"):
        spec = thing["spec"]["template"]["spec"]
        name, grace = thing["metadata"]["name"], spec["terminationGracePeriodSeconds"]
        if grace <= longest.get(name, 15):
            violations.append(f"{name}: {grace} s")
        violations += [f"{name}: a shell as the first process gets the signals" for container in spec["containers"]
                  if container.get("command", [""])[0] in {"sh", "bash", "/bin/sh"}]  # fmt: skip
    return violations


# What Dagster's run launcher and step executor request from the Kubernetes API. Nothing else requests anything.
ASKED = {
    ("batch", "jobs"): {"create", "delete", "get", "list", "patch", "watch"},
    ("batch", "jobs/status"): {"get"},
    **{("", name): {"get", "list", "watch"} for name in ("pods", "pods/log", "pods/status")},
    ("", "events"): {"get", "list"},
}


def rights(things: list[Thing]) -> list[str]:
    """No right is cluster-wide or unused, and each is bound to an account of the chart."""
    violations = [
        f"{role['kind']} {role['metadata']['name']}" for role in of(things, "ClusterRole", "ClusterRoleBinding")
    ]
    violations += [
        f"{sorted(extra)} on {what}"
        for role in of(things, "Role")
        for rule in role["rules"]
        for what in itertools.product(rule["apiGroups"], rule["resources"])
        if (extra := set(rule["verbs"]) - ASKED.get(what, set()))
    ]
    made = {(thing["kind"], thing["metadata"]["name"]) for thing in of(things, "Role", "ServiceAccount")}
    for binding in of(things, "RoleBinding"):
        bound = [binding["roleRef"], *binding["subjects"]]
        violations += [
            f"{subject['kind']} {subject['name']} is not made"
            for subject in bound
            if (subject["kind"], subject["name"]) not in made
        ]
    return violations


def dagster_instances(things: list[Thing]) -> list[str]:
    """Every pod that mounts dagster.yaml can load it: it has the variables, a token and access to the database."""
    violations = []
    for config in of(things, "ConfigMap"):
        if "dagster.yaml" not in config["data"]:
            continue
        instance = yaml.safe_load(config["data"]["dagster.yaml"])
        launcher = instance["run_launcher"]["config"]
        for name, labels, spec in pods(things):
            volumes = {
                volume["name"]
                for volume in spec.get("volumes", [])
                if volume.get("configMap", {}).get("name") == config["metadata"]["name"]
            }
            for container in containers(spec):
                mounted = volumes & {mount["name"] for mount in container.get("volumeMounts", [])}
                if not mounted and name != "dagster-run":  # the launcher mounts dagster.yaml in run pods
                    continue
                variables = {variable["name"] for variable in container.get("env", [])}
                if missing := _variables_of(instance["storage"]) - variables:
                    violations.append(f"{name}: {container['name']} lacks {sorted(missing)}")
                if not _is_code_server(container) and (
                    spec.get("automountServiceAccountToken") is not True
                    or spec.get("serviceAccountName") != launcher["service_account_name"]
                ):
                    violations.append(f"{name}: no token of {launcher['service_account_name']} for the run launcher")
                if not _may_leave(things, labels):
                    violations.append(f"{name}: no NetworkPolicy lets it reach the database")
    return violations


def _is_code_server(container: Thing) -> bool:
    """Whether a container is a code server, which loads only the storage of its instance, not the run launcher."""
    return [*container.get("command", []), *container.get("args", [])][:3] == ["dagster", "api", "grpc"]


def _variables_of(node: Any) -> set[str]:
    """Names of the environment variables in a part of dagster.yaml."""
    if isinstance(node, dict):
        if set(node) == {"env"}:
            return {node["env"]}
        return set().union(*(_variables_of(value) for value in node.values()))
    return set()


def _may_leave(things: list[Thing], labels: Thing) -> bool:
    """Whether a pod may connect to port 5432: a policy allows it, or there are no policies."""
    policies = of(things, "NetworkPolicy")
    return not policies or any(
        port["port"] == 5432
        for policy in policies
        if policy["spec"]["podSelector"] and matches(policy["spec"]["podSelector"], labels)
        for rule in policy["spec"].get("egress", [])
        for port in rule.get("ports", [])
    )


RULES: list[Rule] = [
    restricted_pods, resources, probes, images, selectors, references, one_scaler, budgets, spread, graceful, rights,
    dagster_instances,
]  # fmt: skip
