"""Values: each is documented, the schema is closed and knows exactly them, and generated secrets outlive upgrades."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cluster_api import ClusterApi

CHART = Path(__file__).resolve().parents[2] / "helm"
PARTS = sorted(path.parent.name for path in CHART.glob("charts/*/values.yaml") if path.parent.name != "library")
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def undocumented(text: str) -> list[str]:
    """Keys of a values file that have neither a comment above them nor keys below them."""
    found, lines = [], text.splitlines()
    for number, line in enumerate(lines):
        key = re.match(r"^ *(\w+):(.*)", line)
        if key and key[1] not in {"requests", "limits"} and not (number and lines[number - 1].lstrip().startswith("#")):
            section = not key[2].strip() and number + 1 < len(lines)
            if not section:
                found.append(key[1])
    return found


@pytest.mark.parametrize(
    "path", [CHART / "values.yaml", *CHART.glob("charts/*/values.yaml")], ids=lambda p: p.parent.name
)
def test_every_value_is_documented(path: Path) -> None:
    assert undocumented(path.read_text()) == []
    assert undocumented("# why\nmode: a\nsize: 1Gi\n") == ["size"]


def comments(text: str, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """The comment above each key of a values file, by the path of the key."""
    found: dict[tuple[str, ...], str] = {}
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        indent, content = len(line) - len(line.lstrip()), line.strip()
        if content.startswith("#"):
            comment.append(content.lstrip("# "))
            continue
        if key := re.match(r"(\w+):", content):
            parents = [*(parent for parent in parents if parent[0] < indent), (indent, key[1])]
            if comment:
                found[(*prefix, *(name for _, name in parents))] = " ".join(comment)
        comment = []
    return found


def test_schema_describes_values_as_their_comments_do() -> None:
    """An editor that reads the schema shows the same text as the values file."""
    described: dict[tuple[str, ...], str] = {}
    for part in PARTS:
        described |= comments((CHART / "charts" / part / "values.yaml").read_text(), (part,))
    described |= comments((CHART / "values.yaml").read_text())

    def check(node: dict[str, Any], path: tuple[str, ...]) -> None:
        for key, child in node.get("properties", {}).items():
            check(child, (*path, key))
        if path in described and "description" in node:
            assert node["description"] == described[path], path

    check(SCHEMA, ())


def leaves(node: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Paths of all values; a map that is empty, and whatever the schema leaves open, counts as one."""
    if isinstance(node, dict) and node and path[-1:] != ("resources",):
        return set().union(*(leaves(value, (*path, key)) for key, value in node.items()))
    return {path}


def in_schema(node: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Paths of all values that the schema knows."""
    properties = node.get("properties")
    if not properties:
        return {path}
    known = {key: value for key, value in properties.items() if not path or key not in {"global", "library"}}
    return set().union(*(in_schema(value, (*path, key)) for key, value in known.items()))


def test_the_schema_knows_exactly_the_values_that_exist() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for part in PARTS:
        values[part] = {**yaml.safe_load((CHART / "charts" / part / "values.yaml").read_text()), **values.get(part, {})}
    assert in_schema(SCHEMA) - {("library",)} == leaves(values)


def test_the_schema_is_closed_at_every_level() -> None:
    def open_objects(node: Any, path: str) -> Iterator[str]:
        if isinstance(node, dict):
            if "properties" in node and node.get("additionalProperties") is not False:
                yield path
            for key, value in node.items():
                yield from open_objects(value, f"{path}/{key}")

    assert list(open_objects(SCHEMA, "")) == []


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ('api={"replicaz":3}', "/api"),
        ('global={"imagee":{}}', "/global"),
        ('worker={"autoscaling":{"mode":"cpu"}}', "/worker/autoscaling/mode"),
        ('rabbitmq={"mode":"cluster"}', "/rabbitmq/mode"),
        ('rabbitmq={"replicas":0}', "/rabbitmq/replicas"),
        ('postgresql={"image":"postgres"}', "/postgresql/image"),
        ('valkey={"image":"valkey"}', "/valkey/image"),
        ('global={"lake":{"mode":"nfs"}}', "/global/lake/mode"),
        ('global={"source":"football_data,gossip"}', "/global/source"),
        ('worker={"graceSeconds":90}', "/worker/graceSeconds"),
        ('global={"lake":{"url":"/data"}}', "/global/lake/url"),
        ('global={"asOf":"yesterday"}', "/global/asOf"),
        ('global={"competitions":[]}', "/global/competitions"),
        ('api={"autoscaling":{"minReplicas":0}}', "/api/autoscaling/minReplicas"),
        ('api={"autoscaling":{"enabled":"yes"}}', "/api/autoscaling/enabled"),
        ('api={"resources":{"requests":{"memory":"much"}}}', "/api/resources/requests/memory"),
        ('api={"resources":{"requests":{"memory":"512m"}}}', "/api/resources/requests/memory"),
        ('api={"resources":{"requests":{"cpu":"5Gi"}}}', "/api/resources/requests/cpu"),
        ('api={"resources":{"requests":{"cpu":"1.5.2"}}}', "/api/resources/requests/cpu"),
        ('worker={"settings":{"modelPollSeconds":0}}', "/worker/settings/modelPollSeconds"),
        ('api={"settings":{"shedAboveWaitSecond":3}}', "/api/settings"),
        ('dagster={"settings":{"promotionPolicy":"never"}}', "/dagster/settings/promotionPolicy"),
        ('networkPolicy={"external":{"broker":{"cidrs":["everywhere"]}}}', "/networkPolicy/external/broker/cidrs"),
        ('ingress={"api":{"hots":"x"}}', "/ingress/api"),
        ("mlfow={}", ""),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(chart: Any, value: str, path: str) -> None:
    assert f"at '{path}" in chart.refuses(value)


@pytest.mark.parametrize("cpu", ["1", "250m", "0.5", 2])
def test_a_part_of_a_map_may_be_set_alone(chart: Any, cpu: str | int) -> None:
    things = chart.render(values=(f'api={{"resources":{{"requests":{{"cpu":{json.dumps(cpu)}}}}}}}',))
    api = next(one for one in things if one["kind"] == "Deployment" and one["metadata"]["name"] == "touchline-api")
    resources = api["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources["requests"]["cpu"] == cpu
    assert resources["limits"]["memory"]  # from the defaults


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (('rabbitmq={"mode":"external"}',), "rabbitmq.external.url"),
        (('valkey={"mode":"external"}',), "valkey.external.url"),
        (('postgresql={"mode":"external"}',), "postgresql.databases"),
        (('global={"lake":{"mode":"s3"}}',), "global.lake.url"),
        (('mlflow={"replicas":2}',), "mlflow.artifacts.destination"),
        (('ingress={"enabled":true,"mlflow":{"host":"m.example"}}',), "/ingress/mlflow"),  # it is mlflow.ingressHost
        (('global={"existingSecrets":{"apiKeys":"keys"}}',), "global.existingSecrets.uiApiKey"),
    ],
)
def test_a_missing_value_is_named(chart: Any, values: tuple[str, ...], names: str) -> None:
    assert names in chart.refuses(*values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (("rabbitmq.replicas=2",), "rabbitmq.replicas is 2, but must be odd (1, 3, 5)"),
        (("rabbitmq.replicas=4", 'rabbitmq.mode="operator"'), "rabbitmq.replicas is 4, but must be odd"),
        (('global.image.tag="latest"',), "global.image.tag is latest"),
        (('rabbitmq.image="rabbitmq:latest"',), "rabbitmq.image is latest"),
        (('valkey.image="valkey:latest"',), "valkey.image is latest"),
        (('postgresql.image="postgres:latest"',), "postgresql.image is latest"),
        (('postgresql.cnpgImage="postgres:latest"',), "postgresql.cnpgImage is latest"),
        (('global.lake.url="s3://b/lake"',), "global.lake.url is set, but global.lake.mode is volume"),
        (('rabbitmq.external.url="amqp://a"',), "rabbitmq.external.url is set, but rabbitmq.mode is statefulset"),
        (('valkey.external.url="redis://a"',), "valkey.external.url is set, but valkey.mode is bundled"),
        (('postgresql.external.host="a"',), "postgresql.external.host is set, but postgresql.mode is bundled"),
        (('ingress.ui.host="a"', "ui.enabled=false"), "ingress.ui.host is set, but ui.enabled is false"),
    ],
    ids=str,
)
def test_a_value_without_effect_is_refused(chart: Any, values: tuple[str, ...], sentence: str) -> None:
    """So is one that promises what it cannot hold; the sentence names the value and what to do."""
    assert sentence in chart.refuses(*values)


def test_the_schema_refuses_by_what_is_allowed() -> None:
    """Helm reports a `not` as "'not' failed", which does not help."""
    assert '"not"' not in json.dumps(SCHEMA)


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("127.0.0.1:15000", True),  # a port-forward on any local port
        ("localhost:5001", True),
        ("[::1]:5001", True),
        ("touchline-mlflow:5000", True),
        ("touchline-mlflow.football.svc.cluster.local:5000", True),
        ("m.example", True),
        ("localhost.evil.example", False),
        ("ingress.example", True),
        ("evil.example:5000", False),
    ],
)
def test_mlflow_answers_its_own_hosts_and_no_others(chart: Any, host: str, is_allowed: bool) -> None:
    from mlflow.server.security_utils import is_allowed_host_header

    things = chart.render(values=('mlflow={"allowedHosts":["m.example"],"ingressHost":"ingress.example"}',))
    server = next(
        one for one in things if one["kind"] == "Deployment" and one["metadata"]["name"] == "touchline-mlflow"
    )
    variables = {one["name"]: one.get("value") for one in server["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert is_allowed_host_header(variables["MLFLOW_SERVER_ALLOWED_HOSTS"].split(","), host) is is_allowed


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [("https://m.example", True), ("https://ingress.example", True), ("https://evil.example", False), ("null", False)],
)
def test_mlflow_is_changed_by_its_own_pages_alone(chart: Any, origin: str, is_allowed: bool) -> None:
    """Behind an Ingress, too, MLflow's own pages may change something, and no page of another origin."""
    from mlflow.server.security_utils import should_block_cors_request

    things = chart.render(values=('mlflow={"allowedHosts":["m.example"],"ingressHost":"ingress.example"}',))
    server = next(
        one for one in things if one["kind"] == "Deployment" and one["metadata"]["name"] == "touchline-mlflow"
    )
    variables = {one["name"]: one.get("value") for one in server["spec"]["template"]["spec"]["containers"][0]["env"]}
    origins = variables["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"].split(",")
    assert should_block_cors_request(origin, "POST", origins) is not is_allowed


def test_given_secrets_are_used_and_none_of_ours_is_made_beside_them(chart: Any) -> None:
    names = ("broker", "results", "mlflowDatabase", "dagsterDatabase", "postgresql")
    given = json.dumps({"existingSecrets": {name: f"mine-{name.lower()}" for name in names}})
    things = chart.render(values=(f"global={given}",))
    assert [thing["metadata"]["name"] for thing in things if thing["kind"] == "Secret"] == []
    text = json.dumps(things)
    for name in names:
        assert f"mine-{name.lower()}" in text
    for name in ("touchline-broker", "touchline-results", "touchline-mlflow-database", "touchline-dagster-database"):
        assert name not in text


def test_without_the_match_viewer_callers_keys_are_enough(chart: Any) -> None:
    assert chart.render(values=('global={"existingSecrets":{"apiKeys":"keys"}}', 'ui={"enabled":false}'))


def test_passwords_with_special_characters_stay_whole_in_addresses(chart: Any) -> None:
    value = (
        'postgresql={"mode":"external","external":{"host":"pg.example","port":6432},'
        '"databases":{"mlflow":{"password":"p@/ s:w+"},"dagster":{"password":"q"}}}'
    )
    things = chart.render(values=(value,))
    secret = next(thing for thing in things if thing["metadata"]["name"] == "touchline-mlflow-database")
    from sqlalchemy import make_url

    url = make_url(secret["stringData"]["uri"])
    assert (url.password, url.host, url.port, url.database) == ("p@/ s:w+", "pg.example", 6432, "mlflow")


def test_generated_secrets_survive_upgrades(cluster: ClusterApi) -> None:
    def secrets() -> dict[str, dict[str, str]]:
        """Secrets as an upgrade against the cluster would write them."""
        things = cluster.upgrade()
        return {thing["metadata"]["name"]: thing["stringData"] for thing in things if thing["kind"] == "Secret"}

    first, other = secrets(), secrets()
    assert len(first) == 5
    assert all(first[name] != other[name] for name in first)  # nothing there yet: each is new
    for name, values in first.items():
        cluster.add_secret(name, values)
    assert secrets() == first


def test_generated_passwords_are_long_and_differ(chart: Any) -> None:
    things = [thing for thing in chart.render() if thing["kind"] == "Secret"]
    passwords = [thing["stringData"]["password"] for thing in things]
    assert len(set(passwords)) == len(passwords) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", password) for password in passwords)
