"""The network policies allow what the parts need to reach, and nothing else."""

from __future__ import annotations

import copy
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.support.chart import EXTERNAL

Thing = dict[str, Any]
PARTS = {
    "api", "worker", "ui", "mlflow", "dagster-webserver", "dagster-daemon", "dagster-code", "dagster-run",
    "rabbitmq", "valkey", "postgresql", "mlflow-migration", "dagster-migration", "test",
}  # fmt: skip
# The arrows of the design, written down a second time by hand: (from, to, port). Beside parts, an end is
# `ns:<namespace>` or `outside:<addresses>`.
PIPELINE = ("dagster-webserver", "dagster-daemon", "dagster-code", "dagster-run")
EDGES = {
    ("ui", "api", 8000),
    ("test", "api", 8000),
    *((client, "rabbitmq", 5672) for client in ("api", "worker")),
    *((client, "valkey", 6379) for client in ("api", "worker")),
    *((client, "mlflow", 5000) for client in ("worker", "dagster-code", "dagster-run")),
    *((client, "postgresql", 5432) for client in ("mlflow", "mlflow-migration", "dagster-migration", *PIPELINE)),
    *((f"dagster-{client}", "dagster-code", 3030) for client in ("webserver", "daemon")),
    ("rabbitmq", "rabbitmq", 4369),
    ("rabbitmq", "rabbitmq", 25672),
}
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
STARTERS = {  # who starts pods
    (client, f"outside:{cidr}", port) for client in PIPELINE for cidr in PRIVATE for port in (443, 6443)
}
SCRAPED = {("ns:monitoring", "api", 8000), ("ns:monitoring", "worker", 9808)}
KEDA = ("ns:keda", "rabbitmq", 5672)
ANYWHERE = "outside:0.0.0.0/0"
STORED = {(client, ANYWHERE, 443) for client in ("api", "worker", "mlflow", "dagster-code", "dagster-run")}
# With the operators PostgreSQL's instances also talk to each other, and RabbitMQ's as before.
OPERATED = {
    ("postgresql", "postgresql", 5432),
    ("postgresql", "postgresql", 8000),
    ("ns:cnpg-system", "postgresql", 5432),
    ("ns:cnpg-system", "postgresql", 8000),
    ("ns:rabbitmq-system", "rabbitmq", 15672),
}
ENTRANCES = {("api", 8000), ("ui", 8501)}
OUTSIDE = {edge for edge in EDGES if not {"rabbitmq", "valkey", "postgresql"} & set(edge[:2])} | {
    *((client, ANYWHERE, port) for client in ("api", "worker") for port in (5671, 5672, 6379)),
    *((client, ANYWHERE, 5432) for client in ("mlflow", "mlflow-migration", "dagster-migration", *PIPELINE)),
}


def labels(part: str, operated: bool = False) -> Thing:
    """Labels of a part's pods; operators give theirs."""
    if operated and part == "rabbitmq":
        return {"app.kubernetes.io/name": "touchline-rabbitmq"}
    if operated and part == "postgresql":
        return {"cnpg.io/cluster": "touchline-postgresql"}
    return {
        "app.kubernetes.io/name": "touchline",
        "app.kubernetes.io/instance": "touchline",
        "app.kubernetes.io/component": part,
    }


def ends(peer: Thing, operated: bool) -> set[str]:
    """The parts, namespaces or addresses that a peer of a rule stands for."""
    (kind,) = peer  # a pair of selectors would mean their intersection, which no rule here uses
    if kind == "ipBlock":
        return {f"outside:{peer[kind]['cidr']}"}
    if kind == "namespaceSelector":
        return {f"ns:{peer[kind]['matchLabels']['kubernetes.io/metadata.name']}"}
    wanted = peer[kind]["matchLabels"].items()
    return {part for part in PARTS if wanted <= labels(part, operated).items()}


def allowed(policies: list[Thing], part: str, direction: str, operated: bool) -> set[tuple[str, int]] | None:
    """(other end, port) that the policies of a part's pods let through in a direction; None: everything."""
    mine = [
        policy["spec"]
        for policy in policies
        if policy["spec"]["podSelector"]["matchLabels"].items() <= labels(part, operated).items()
        and direction in policy["spec"]["policyTypes"]
    ]
    peers = {"Egress": "to", "Ingress": "from"}[direction]
    found = {
        (end, port["port"])
        for spec in mine
        for rule in spec.get(direction.lower()) or []
        for peer in rule[peers]
        for end in ends(peer, operated)
        for port in rule["ports"]
        if port["port"] != 53  # names are everybody's
    }
    return found if mine else None


def open_edges(policies: list[Thing], operated: bool = False) -> set[tuple[str, str, int]]:
    """Every connection that is allowed: between two parts by both sides' policies, otherwise by the one part's."""
    leaving, entering = (
        {part: allowed(policies, part, direction, operated) for part in PARTS} for direction in ("Egress", "Ingress")
    )
    out = {(tail, head, port) for tail, found in leaving.items() for head, port in found or () if head not in PARTS}
    inside = {(tail, head, port) for head, found in entering.items() for tail, port in found or ()}
    return out | {
        (tail, head, port)
        for tail, head, port in inside
        if tail not in PARTS or leaving[tail] is None or (head, port) in (leaving[tail] or ())
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


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, EDGES | STARTERS | SCRAPED | {KEDA, ("ns:monitoring", "rabbitmq", 15692)}),
        (
            {"profile": "values-production.yaml"},
            EDGES
            | {edge for edge in STARTERS if edge[1] == "outside:10.0.0.0/8"}
            | SCRAPED
            | STORED
            | OPERATED
            | {KEDA, ("ns:monitoring", "rabbitmq", 15692)}
            | {("ns:ingress-nginx", part, port) for part, port in ENTRANCES},
        ),
        ({"values": EXTERNAL}, OUTSIDE | STARTERS | SCRAPED),
    ],
    ids=["default", "production", "external"],
)
def test_exactly_the_edges_of_the_design_are_open(
    chart: Any, options: Thing, expected: set[tuple[str, str, int]]
) -> None:
    policies = policies_of(chart, **options)
    operated = options.get("profile") == "values-production.yaml"
    assert open_edges(policies, operated) == expected


def test_the_small_cluster_has_no_policies(chart: Any) -> None:
    assert policies_of(chart, profile="values-dev.yaml") == []


@pytest.mark.parametrize(
    ("policy", "direction", "rule"),
    [
        ("api", "ingress", {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "x"}}}]}),
        ("ui", "egress", {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}),
        ("valkey", "ingress", {"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}),
    ],
)
def test_one_edge_too_many_is_noticed(chart: Any, policy: str, direction: str, rule: Thing) -> None:
    policies = copy.deepcopy(policies_of(chart))
    spec = next(one["spec"] for one in policies if one["metadata"]["name"] == f"touchline-{policy}")
    spec[direction] = [*(spec.get(direction) or []), {**rule, "ports": [{"port": 443}]}]
    assert len(open_edges(policies)) == len(open_edges(policies_of(chart))) + 1


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
def test_only_dagster_reaches_the_kubernetes_api(chart: Any, profile: str) -> None:
    """Only dagster reaches the kubernetes api and nobody the metadata service."""
    policies = policies_of(chart, profile=profile)
    reach = {part for part in PARTS if any(port == 6443 for _, port in outside(policies, part))}
    assert reach == set(PIPELINE)
    blocks = [
        peer["ipBlock"]
        for policy in policies
        for rule in policy["spec"].get("egress") or []
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert all(block["except"] == ["169.254.169.254/32"] for block in blocks if block["cidr"] == "0.0.0.0/0")


@pytest.mark.parametrize(
    ("source", "fetches"),
    [("bundled", False), ("files,bundled", False), ("football_data", True), ("files,openfootball", True)],
)
def test_only_the_pipeline_fetches_and_only_from_remote_sources(chart: Any, source: str, fetches: bool) -> None:
    edges = open_edges(policies_of(chart, values=(f'global={{"source":"{source}"}}',)))
    users = {tail for tail, head, _ in edges if head == ANYWHERE}
    assert users == ({"dagster-code", "dagster-run"} if fetches else set())


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


def test_configured_ports_of_mirror_and_collector_are_allowed(chart: Any) -> None:
    """A mirror and a collector are reached on the ports of their addresses."""
    values = (
        'global={"source":"football_data"}',
        'dagster={"settings":{"footballDataUrl":"http://mirror.example:8088/data","openfootballUrl":"http://o.example"}}',
        'worker={"settings":{"otlpEndpoint":"http://collector.example:5318"}}',
    )
    policies = policies_of(chart, values=values)
    assert {port for cidr, port in outside(policies, "dagster-code") if cidr == "0.0.0.0/0"} == {443, 8088, 80}
    assert outside(policies, "worker") == {(cidr, port) for cidr in PRIVATE for port in (4318, 5318)}
    assert outside(policies, "api") == set()  # it was told of no collector


def test_pods_of_the_operators_are_met_under_their_own_labels(chart: Any) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in policies_of(chart, profile="values-production.yaml")}
    assert policies["touchline-postgresql"]["podSelector"]["matchLabels"] == {"cnpg.io/cluster": "touchline-postgresql"}
    assert policies["touchline-rabbitmq"]["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "touchline-rabbitmq"
    }
    assert policies["touchline-postgresql"]["policyTypes"] == ["Ingress"]
    wanted = [peer for rule in policies["touchline-mlflow"]["egress"] for peer in rule["to"]]
    assert {"podSelector": {"matchLabels": {"cnpg.io/cluster": "touchline-postgresql"}}} in wanted


def test_every_configured_address_has_an_open_edge(chart: Any) -> None:
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
