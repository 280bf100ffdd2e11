"""Values: each is documented, the schema is closed and knows exactly them, and generated secrets outlive upgrades."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

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
        ('rabbitmq={"replicas":2}', "/rabbitmq/replicas"),
        ('postgresql={"image":"postgres:latest"}', "/postgresql/image"),
        ('valkey={"image":"valkey"}', "/valkey/image"),
        ('global={"image":{"tag":"latest"}}', "/global/image/tag"),
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


class Cluster(BaseHTTPRequestHandler):
    """As much of the Kubernetes API as a server-side dry run asks for: discovery, and Secrets."""

    secrets: ClassVar[dict[str, dict[str, str]]] = {}
    kinds: ClassVar[set[tuple[str, str]]] = set()

    def do_GET(self) -> None:
        """Answer one question."""
        path = self.path.split("?")[0]
        name = path.rsplit("/", 1)[-1]
        if path == "/version":
            self._say({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
        elif path == "/api":
            self._say({"kind": "APIVersions", "versions": ["v1"]})
        elif path == "/apis":
            versions = sorted({api for api, _ in self.kinds if "/" in api})
            groups = [{"name": one.split("/")[0], "versions": [self._version(one)]} for one in versions]
            self._say({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        elif path.removeprefix("/apis/").removeprefix("/api/") in {api for api, _ in self.kinds}:
            api = path.removeprefix("/apis/").removeprefix("/api/")
            resources = [
                {"name": f"{kind.lower()}s", "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get"]}
                for known, kind in sorted(self.kinds)
                if known == api
            ]
            self._say({"kind": "APIResourceList", "groupVersion": api, "resources": resources})
        elif "/secrets/" in path and name in self.secrets:
            data = {key: base64.b64encode(value.encode()).decode() for key, value in self.secrets[name].items()}
            self._say({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}, "data": data})
        else:
            self._say(
                {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}, 404
            )

    @staticmethod
    def _version(api: str) -> dict[str, str]:
        return {"groupVersion": api, "version": api.split("/")[1]}

    def _say(self, document: Any, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def cluster(tmp_path: Path, chart: Any) -> Iterator[str]:
    """Path of a kubeconfig for a cluster that knows the Secrets in `Cluster.secrets`."""
    Cluster.secrets = {}
    Cluster.kinds = {(one["apiVersion"], one["kind"]) for one in chart.render(operators=False, upgrade=True)}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
        "current-context": "c",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    yield str(path)
    server.shutdown()
    server.server_close()


def secrets_of(chart: Any, kubeconfig: str) -> dict[str, dict[str, str]]:
    """Secrets as an upgrade against the cluster would write them."""
    told = chart.run(
        "template", "touchline", str(CHART), "-n", "football", "--dry-run=server", "--is-upgrade",
        "--disable-openapi-validation", "--kubeconfig", kubeconfig,
    )  # fmt: skip
    things = [thing for thing in yaml.safe_load_all(told) if thing]
    return {thing["metadata"]["name"]: thing["stringData"] for thing in things if thing["kind"] == "Secret"}


def test_generated_secrets_survive_upgrades(chart: Any, cluster: str) -> None:
    first, other = secrets_of(chart, cluster), secrets_of(chart, cluster)
    assert len(first) == 5
    assert all(first[name] != other[name] for name in first)  # nothing there yet: each is new
    Cluster.secrets = first
    assert secrets_of(chart, cluster) == first


def test_generated_passwords_are_long_and_differ(chart: Any) -> None:
    things = [thing for thing in chart.render() if thing["kind"] == "Secret"]
    passwords = [thing["stringData"]["password"] for thing in things]
    assert len(set(passwords)) == len(passwords) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", password) for password in passwords)
