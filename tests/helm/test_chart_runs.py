"""Competitions fan out: the rendered instance queues their runs and posts a Job for each, so many at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

Thing = dict[str, Any]
IMAGE = "registry.example/touchline-orchestration:0.1.0"


@dataclass
class Kubernetes:
    """As much of the Kubernetes API as starting a run asks for: it keeps the Jobs that are posted."""

    address: str = ""
    jobs: list[Thing] = field(default_factory=list)


@pytest.fixture
def kubernetes() -> Iterator[Kubernetes]:
    cluster = Kubernetes()

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/apis/batch/v1/namespaces/football/jobs"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            cluster.jobs.append(json.loads(body))
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield cluster
    server.shutdown()
    server.server_close()


@pytest.fixture
def instance(
    chart: Any, kubernetes: Kubernetes, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[dg.DagsterInstance]:
    """The rendered instance, but for its database and the way to its cluster."""
    things = chart.render(**request.param)
    rendered = next(one for one in things if one["metadata"]["name"] == "touchline-dagster-instance")
    config = yaml.safe_load(rendered["data"]["dagster.yaml"])
    reach = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": kubernetes.address}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
        "current-context": "c",
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(reach))
    del config["storage"]
    config["run_launcher"]["config"] |= {
        "load_incluster_config": False,
        "kubeconfig_file": str(tmp_path / "kubeconfig"),
    }
    config["local_artifact_storage"]["config"]["base_dir"] = str(tmp_path)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


@pytest.mark.parametrize(
    ("instance", "at_a_time"),
    [({}, 4), ({"profile": "values-dev.yaml"}, 1), ({"profile": "values-production.yaml"}, 10)],
    indirect=["instance"],
    ids=["default", "dev", "production"],
)
def test_each_competition_is_a_pod_and_no_more_run_than_the_values_say(
    instance: dg.DagsterInstance, kubernetes: Kubernetes, at_a_time: int
) -> None:
    code = ReconstructableRepository.for_module("orchestration.definitions", "defs", container_image=IMAGE)
    origin = code.get_reconstructable_job("refresh_matches").get_python_origin()
    server = GrpcServerCodeLocationOrigin(host="touchline-dagster-code", port=3030, location_name="touchline")
    known = RemoteRepositoryOrigin(server, "__repository__").get_job_origin("refresh_matches")
    competitions = [f"league-{number}" for number in range(at_a_time + 3)]
    for name in competitions:
        create_run_for_test(
            instance,
            job_name="refresh_matches",
            status=dg.DagsterRunStatus.QUEUED,
            tags={"dagster/partition": name},
            job_code_origin=origin,
            remote_job_origin=known,
        )
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    with daemon, WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as workspace:
        list(daemon.run_iteration(workspace))
        assert len(kubernetes.jobs) == at_a_time
        list(daemon.run_iteration(workspace))
        assert len(kubernetes.jobs) == at_a_time, "the others wait until one has ended"
        started = [run for run in instance.get_runs() if run.status is dg.DagsterRunStatus.STARTING]
        instance.report_run_failed(started[0])
        list(daemon.run_iteration(workspace))
        assert len(kubernetes.jobs) == at_a_time + 1
        while len(kubernetes.jobs) < len(competitions):
            instance.report_run_failed(
                next(run for run in instance.get_runs() if run.status is dg.DagsterRunStatus.STARTING)
            )
            list(daemon.run_iteration(workspace))
    runs = {job["metadata"]["labels"]["dagster/run-id"] for job in kubernetes.jobs}
    assert runs == {run.run_id for run in instance.get_runs()}, "one Job for each run"
    for job in kubernetes.jobs:
        template = job["spec"]["template"]
        assert template["metadata"]["labels"]["app.kubernetes.io/component"] == "dagster-run"
        assert [one["image"] for one in template["spec"]["containers"]] == [IMAGE]
