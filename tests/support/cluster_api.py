"""As much of the Kubernetes API as helm asks for in a server-side dry run: discovery, and objects by their names."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.support.chart import CHART, Chart, Thing

MISSING = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


@dataclass
class ClusterApi:
    """A cluster with a release in the namespace `football`, as far as its objects were added."""

    chart: Chart
    kubeconfig: Path
    objects: dict[tuple[str, str], Thing] = field(default_factory=dict)

    def add(self, thing: Thing) -> None:
        """Add an object of the release, or one that it left behind."""
        owned = {
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "touchline", "meta.helm.sh/release-namespace": "football"},
        }
        metadata = {**owned, **thing["metadata"]}
        self.objects[f"{thing['kind'].lower()}s", metadata["name"]] = {**thing, "metadata": metadata}

    def add_secret(self, name: str, values: dict[str, str]) -> None:
        """Add a Secret."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.add({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}, "data": data})

    def add_claim(self, name: str, size: str, **spec: Any) -> None:
        """Add a claim of a volume."""
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
        self.add({"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec})

    def upgrade(self, *values: str) -> list[Thing]:
        """Objects that an upgrade against this cluster would write."""
        return self._render(["--is-upgrade"], values)

    def install(self, *values: str) -> list[Thing]:
        """Objects that an installation into this cluster would write."""
        return self._render([], values)

    def _render(self, options: list[str], values: tuple[str, ...]) -> list[Thing]:
        arguments = ["template", "touchline", str(CHART), "-n", "football", "--dry-run=server", *options]
        arguments += ["--disable-openapi-validation", "--kubeconfig", str(self.kubeconfig)]
        for value in values:
            arguments += ["--set-json", value]
        return [thing for thing in yaml.safe_load_all(self.chart.run(*arguments)) if thing]


@contextmanager
def cluster_api(chart: Chart, folder: Path) -> Iterator[ClusterApi]:
    """Serve a cluster that knows the kinds that the chart uses, and no object yet."""
    kinds = {(thing["apiVersion"], thing["kind"]) for thing in chart.render(operators=False, upgrade=True)}
    cluster = ClusterApi(chart, folder / "kubeconfig")

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer one question."""
            path = self.path.split("?")[0]
            document = _discovery(path, kinds) or cluster.objects.get((path.split("/")[-2], path.rsplit("/", 1)[-1]))
            body = json.dumps(document or MISSING).encode()
            self.send_response(200 if document else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    cluster.kubeconfig.write_text(yaml.safe_dump(kubeconfig(address)))
    yield cluster
    server.shutdown()
    server.server_close()


def kubeconfig(address: str) -> Thing:
    """A configuration for a cluster without a login."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
        "current-context": "c",
    }


def _discovery(path: str, kinds: set[tuple[str, str]]) -> Thing | None:
    """What the API says of itself: its version, groups and resources."""
    if path == "/version":
        return {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        versions = [
            {"groupVersion": api, "version": api.split("/")[1]}
            for api in sorted({api for api, _ in kinds if "/" in api})
        ]
        groups = [{"name": version["groupVersion"].split("/")[0], "versions": [version]} for version in versions]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    api = path.removeprefix("/apis/").removeprefix("/api/")
    resources = [
        {"name": f"{kind.lower()}s", "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get"]}
        for known, kind in sorted(kinds)
        if known == api
    ]
    return {"kind": "APIResourceList", "groupVersion": api, "resources": resources} if resources else None
