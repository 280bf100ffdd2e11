"""The network policies allow what the parts need to reach, and nothing else."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

Thing = dict[str, Any]
PARTS = {
    "api", "worker", "ui", "mlflow", "dagster-webserver", "dagster-daemon", "dagster-code", "dagster-run",
    "rabbitmq", "valkey", "postgresql", "mlflow-migration", "dagster-migration", "test",
}  # fmt: skip
# The arrows of the design, written down a second time by hand: (from, to, port).
EDGES = {
    ("ui", "api", 8000),
    ("test", "api", 8000),
    *((client, "rabbitmq", 5672) for client in ("api", "worker")),
    *((client, "valkey", 6379) for client in ("api", "worker")),
    *((client, "mlflow", 5000) for client in ("api", "worker", "dagster-code", "dagster-run")),
    *((client, "postgresql", 5432) for client in ("mlflow", "mlflow-migration", "dagster-migration")),
    *((f"dagster-{client}", "postgresql", 5432) for client in ("webserver", "daemon", "code", "run")),
    *((f"dagster-{client}", "dagster-code", 3030) for client in ("webserver", "daemon")),
    ("rabbitmq", "rabbitmq", 4369),
    ("rabbitmq", "rabbitmq", 25672),
}


def labels(part: str) -> Thing:
    """Labels of a part's pods."""
    return {
        "app.kubernetes.io/name": "touchline",
        "app.kubernetes.io/instance": "touchline",
        "app.kubernetes.io/component": part,
    }


def allows(policies: list[Thing], direction: str, at: str, other: str, port: int) -> bool:
    """Whether any policy of one pod's side lets the other pod through."""
    peers = {"egress": "to", "ingress": "from"}[direction]
    for policy in policies:
        spec = policy["spec"]
        if not spec["podSelector"]["matchLabels"].items() <= labels(at).items():
            continue
        for rule in spec.get(direction) or []:
            hit = any(
                "podSelector" in peer and peer["podSelector"]["matchLabels"].items() <= labels(other).items()
                for peer in rule[peers]
            )
            if hit and port in {one["port"] for one in rule["ports"]}:
                return True
    return False


def open_edges(policies: list[Thing]) -> set[tuple[str, str, int]]:
    """Every connection between two parts that both sides' policies allow."""
    ports = {8000, 8501, 9808, 5000, 3000, 3030, 5672, 15672, 15692, 4369, 25672, 6379, 5432}
    return {
        (tail, head, port)
        for tail in PARTS
        for head in PARTS
        for port in ports
        if allows(policies, "egress", tail, head, port) and allows(policies, "ingress", head, tail, port)
    }


def policies_of(chart: Any, **options: Any) -> list[Thing]:
    """NetworkPolicies of a rendering."""
    return [thing for thing in chart.render(**options) if thing["kind"] == "NetworkPolicy"]


def outside(policies: list[Thing], part: str) -> set[tuple[str, int]]:
    """(address range, port) that a part may reach beside the pods and the names."""
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for policy in policies
        if policy["metadata"]["name"] == f"touchline-{part}"
        for rule in policy["spec"].get("egress") or []
        for peer in rule["to"]
        if "ipBlock" in peer
        for port in rule["ports"]
    }


def test_exactly_the_edges_of_the_design_are_open(chart: Any) -> None:
    assert open_edges(policies_of(chart)) == EDGES


def test_every_pod_is_closed_before_edges_open_it(chart: Any) -> None:
    things = chart.render(upgrade=True)
    default = next(thing for thing in things if thing["metadata"]["name"] == "touchline-default")
    assert sorted(default["spec"]["policyTypes"]) == ["Egress", "Ingress"]
    assert "ingress" not in default["spec"]
    assert {port["port"] for rule in default["spec"]["egress"] for port in rule["ports"]} == {53}
    for thing in things:
        if thing["kind"] in {"Deployment", "StatefulSet", "Job"}:
            pod = thing["spec"]["template"]["metadata"]["labels"]
            assert default["spec"]["podSelector"]["matchLabels"].items() <= pod.items()


def test_an_edge_needs_both_ends(chart: Any) -> None:
    policies = [one for one in policies_of(chart) if one["metadata"]["name"] != "touchline-valkey"]
    assert ("worker", "valkey", 6379) not in open_edges(policies)


@pytest.mark.parametrize("profile", ["values.yaml", "values-production.yaml"])
def test_only_dagster_reaches_the_kubernetes_api_and_nobody_the_metadata_service(chart: Any, profile: str) -> None:
    policies = policies_of(chart, profile=profile)
    reach = {part for part in PARTS if any(port == 6443 for _, port in outside(policies, part))}
    assert reach == {"dagster-webserver", "dagster-daemon", "dagster-run"}
    blocks = [
        peer["ipBlock"]
        for policy in policies
        for rule in policy["spec"].get("egress") or []
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert all(block["except"] == ["169.254.169.254/32"] for block in blocks if block["cidr"] == "0.0.0.0/0")


def test_with_the_lake_on_s3_its_users_reach_it(chart: Any) -> None:
    policies = policies_of(chart, profile="values-production.yaml")
    users = {part for part in PARTS if ("0.0.0.0/0", 443) in outside(policies, part)}
    assert users == {"api", "worker", "mlflow", "dagster-code", "dagster-run"}
    assert not any(outside(policies_of(chart), part) for part in ("api", "worker", "mlflow", "dagster-code", "ui"))


@pytest.mark.parametrize(
    ("source", "fetches"),
    [("bundled", False), ("files,bundled", False), ("football_data", True), ("files,openfootball", True)],
)
def test_only_the_pipeline_fetches_and_only_from_remote_sources(chart: Any, source: str, fetches: bool) -> None:
    policies = policies_of(chart, values=(f'global={{"source":"{source}"}}',))
    users = {part for part in PARTS if ("0.0.0.0/0", 443) in outside(policies, part)}
    kubernetes = {"dagster-webserver", "dagster-daemon", "dagster-run"}  # on the same port
    assert users - kubernetes == ({"dagster-code"} if fetches else set())
    run = next(one["spec"] for one in policies if one["metadata"]["name"] == "touchline-dagster-run")
    wide = [rule for rule in run["egress"] if any("ipBlock" in peer for peer in rule["to"])]
    assert len(wide) == 1 + fetches


def test_external_services_are_reached_on_their_ports(chart: Any) -> None:
    policies = policies_of(
        chart,
        values=(
            'rabbitmq={"mode":"external","external":{"url":"amqp://mq.example"}}',
            'networkPolicy={"external":{"broker":{"cidrs":["10.1.2.3/32"],"ports":[5671]}}}',
        ),
    )
    assert ("10.1.2.3/32", 5671) in outside(policies, "worker")
    assert not any(one["metadata"]["name"] == "touchline-rabbitmq" for one in policies)


def test_the_ports_in_given_addresses_are_open(chart: Any) -> None:
    values = (
        'global={"lake":{"mode":"s3","url":"s3://b/lake","endpoint":"https://minio.example:9000"}}',
        'rabbitmq={"mode":"external","external":{"url":"amqp://u:p@mq.example:5678/v"}}',
        'valkey={"mode":"external","external":{"url":"rediss://:p@cache.example:6380/0"}}',
        'postgresql={"mode":"external","external":{"host":"pg.example","port":6432},'
        '"databases":{"mlflow":{"password":"p"},"dagster":{"password":"q"}}}',
    )
    policies = policies_of(chart, values=values)
    assert {port for _, port in outside(policies, "worker")} == {443, 9000, 5671, 5672, 5678, 6379, 6380}
    assert {port for _, port in outside(policies, "mlflow")} == {5432, 6432}


def test_pods_of_the_operators_are_met_under_their_own_labels(chart: Any) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in policies_of(chart, profile="values-production.yaml")}
    assert policies["touchline-postgresql"]["podSelector"]["matchLabels"] == {"cnpg.io/cluster": "touchline-postgresql"}
    assert policies["touchline-rabbitmq"]["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "touchline-rabbitmq"
    }
    assert policies["touchline-postgresql"]["policyTypes"] == ["Ingress"]
    wanted = [peer for rule in policies["touchline-mlflow"]["egress"] for peer in rule["to"]]
    assert {"podSelector": {"matchLabels": {"cnpg.io/cluster": "touchline-postgresql"}}} in wanted


def test_every_address_that_a_pod_is_told_lies_behind_an_open_edge(chart: Any) -> None:
    """URLs in the environment, the Secrets and Dagster's workspace name Services: each is an edge of the asker."""
    things = chart.render()
    secrets = {one["metadata"]["name"]: one["stringData"] for one in things if one["kind"] == "Secret"}
    services = {one["metadata"]["name"]: one for one in things if one["kind"] == "Service"}
    told = set()
    for thing in things:
        if thing["kind"] != "Deployment":
            continue
        part = thing["metadata"]["labels"]["app.kubernetes.io/component"]
        for variable in thing["spec"]["template"]["spec"]["containers"][0].get("env", []):
            given = variable.get("valueFrom", {}).get("secretKeyRef")
            value = secrets[given["name"]][given["key"]] if given else variable["value"]
            if "://" in value and not value.startswith("s3"):
                address = urlsplit(value)
                service = services[str(address.hostname)]
                told.add((part, service["metadata"]["labels"]["app.kubernetes.io/component"], address.port))
    assert told
    assert told <= EDGES
    workspace = next(one for one in things if one["metadata"]["name"] == "touchline-dagster-workspace-yaml")
    server = yaml.safe_load(workspace["data"]["workspace.yaml"])["load_from"][0]["grpc_server"]
    assert (server["host"], server["port"]) == ("touchline-dagster-code", 3030)
    assert services[server["host"]]["spec"]["ports"][0]["port"] == 3030
