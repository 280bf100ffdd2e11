"""The first loop on external services: PostgreSQL, RabbitMQ, Redis and S3, by settings alone.

Then new models and results, without a restart or a shared disk, and the backup from the chart's README: dump, wipe,
restore, same forecasts.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import psycopg2
import pytest
import redis
import yaml
from moto.server import ThreadedMotoServer

from features.io.registry import PRODUCTION, Registry
from serving.wire.results import result_key
from tests.support.local_stack import CHROMIUM, first_loop
from tests.support.ports import free_port

SERVER = "host=127.0.0.1 port=5432 user=postgres dbname=postgres connect_timeout=3"
BUCKET, BACKUP = "touchline", "touchline-backup"
PATIENCE = 300
DATABASES = ("mlflow", "dagster")


@dataclass
class ExternalServices:
    """The external services, and the environment that names their addresses to the processes."""

    s3: Any
    names: dict[str, str]
    vhost: str
    environment: dict[str, str]
    ports: dict[str, int]
    root: Path
    logs: Path

    @property
    def api(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def mlflow(self) -> str:
        """Address of the registry."""
        return f"http://127.0.0.1:{self.ports['mlflow']}"

    @contextmanager
    def running(self, name: str, *command: str) -> Iterator[None]:
        """A process that runs until the end of the block."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=self.root, env=self.environment, stdout=log, stderr=log
            )
            try:
                yield
            finally:
                process.terminate()
                try:
                    process.wait(45)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Registry, worker and API, with the registry answering."""
        server = ("mlflow", "server", "--host", "127.0.0.1", "--port", str(self.ports["mlflow"]), "--workers", "1")
        with (
            self.running("mlflow", *server),
            self.running("worker", "serving.worker"),
            self.running("api", "serving.api"),
        ):
            self.wait_for(f"{self.mlflow}/health")
            yield

    def pipeline(self, as_of: str) -> None:
        """Run the whole pipeline as of a time."""
        with (self.logs / "pipeline.log").open("ab") as log:
            subprocess.run(
                [sys.executable, "-m", "orchestration.local.pipeline"],
                cwd=self.root,
                env={**self.environment, "TOUCHLINE_AS_OF": as_of},
                stdout=log,
                stderr=log,
                timeout=600,
                check=True,
            )

    def train(self) -> None:
        """Train one more version of the model, by Dagster's command line."""
        config = self.logs / "train.yaml"
        recipe = {"reason": "a second version", "regularisation": 0.012}  # the same recipe again would add no version
        config.write_text(yaml.safe_dump({"ops": {"outcome_model": {"config": recipe}}}))
        job = ("dagster", "job", "execute", "-m", "orchestration.definitions", "-j", "train_model", "-c", str(config))
        with (self.logs / "train.log").open("ab") as log:
            command = [sys.executable, "-m", *job]
            subprocess.run(
                command, cwd=self.root, env=self.environment, stdout=log, stderr=log, timeout=600, check=True
            )

    def wait_for(
        self, address: str, good: Callable[[httpx.Response], object] = lambda answer: answer.is_success
    ) -> Any:
        """Wait for the first good answer."""
        deadline = time.monotonic() + PATIENCE
        last: object = None
        while time.monotonic() < deadline:
            try:
                answer = httpx.get(address, timeout=10)
                last = answer.text
                if good(answer):
                    return answer
            except httpx.HTTPError as error:
                last = error
            time.sleep(0.3)
        pytest.fail(f"nothing good at {address}: {last}; logs in {self.logs}")


def sql(statement: str) -> list[Any]:
    """Run one statement on the server, outside a transaction."""
    connection = psycopg2.connect(SERVER)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def broker(*command: str) -> str:
    """Run rabbitmqctl."""
    tool = shutil.which("rabbitmqctl", path=f"{os.environ['PATH']}:/usr/sbin") or "rabbitmqctl"
    return subprocess.run([tool, "-q", *command], capture_output=True, text=True, timeout=60, check=True).stdout


def make_vhost(name: str) -> None:
    """Create an empty virtual host in which the user guest has all permissions."""
    broker("add_vhost", name)
    broker("set_permissions", "-p", name, "guest", ".*", ".*", ".*")


def reachable(check: Callable[[], object]) -> bool:
    """Whether a service can be used by this test."""
    try:
        check()
    except (psycopg2.Error, OSError, subprocess.SubprocessError):
        return False
    return True


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory, repository: Path, require: Callable[[object, str], None]
) -> Iterator[ExternalServices]:
    """Databases, a virtual host, a Redis and a bucket of this test's own."""
    require(reachable(lambda: sql("SELECT 1")), "no PostgreSQL on 127.0.0.1:5432 that trusts the user postgres")
    require(reachable(lambda: broker("status")), "no RabbitMQ on this machine that rabbitmqctl may administer")
    require(shutil.which("redis-server"), "no redis-server (Debian: apt install redis-server)")
    require(shutil.which("pg_dump"), "no pg_dump (Debian: apt install postgresql-client)")
    mark = uuid.uuid4().hex[:8]
    folder = tmp_path_factory.mktemp("outside")
    names = {use: f"touchline_test_{mark}_{use}" for use in DATABASES}
    vhost = f"touchline-test-{mark}"
    ports = {name: free_port() for name in ("api", "ui", "dagster", "mlflow", "redis")}
    with ExitStack() as stack:
        for name in names.values():
            sql(f'CREATE DATABASE "{name}"')
            stack.callback(sql, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        make_vhost(vhost)
        stack.callback(broker, "delete_vhost", vhost)
        store = subprocess.Popen(
            ["redis-server", "--port", str(ports["redis"]), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
            stdout=subprocess.DEVNULL,
        )
        stack.callback(store.wait, 20)
        stack.callback(store.terminate)
        storage = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        storage.start()
        stack.callback(storage.stop)
        host, s3_port = storage.get_host_and_port()
        endpoint = f"http://{host}:{s3_port}"
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        for bucket in (BUCKET, BACKUP):
            s3.create_bucket(Bucket=bucket)
        home = folder / "home"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TOUCHLINE_", "AWS_"))}
        environment = {
            **inherited,
            "PYTHONPATH": str(repository),
            "TOUCHLINE_HOME": str(home),
            "TOUCHLINE_LAKE": f"s3://{BUCKET}/lake",
            "TOUCHLINE_S3_ENDPOINT": endpoint,
            "TOUCHLINE_AS_OF": "2026-03-13T12:00:00Z",
            **{f"TOUCHLINE_{name.upper()}_PORT": str(ports[name]) for name in ("api", "ui", "dagster", "mlflow")},
            "TOUCHLINE_MLFLOW_TRACKING_URI": f"http://127.0.0.1:{ports['mlflow']}",
            "TOUCHLINE_BROKER_URL": f"amqp://guest:guest@127.0.0.1:5672/{vhost}",
            "TOUCHLINE_RESULT_BACKEND_URL": f"redis://127.0.0.1:{ports['redis']}/0",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg2://postgres@127.0.0.1:5432/{names['mlflow']}",
            "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}/mlflow",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "TOUCHLINE_DAGSTER_STORAGE_URL": f"postgresql://postgres@127.0.0.1:5432/{names['dagster']}",
            "DAGSTER_HOME": str(home / "dagster"),
        }
        yield ExternalServices(s3, names, vhost, environment, ports, repository, folder)


def objects(services: ExternalServices, bucket: str) -> list[str]:
    """The keys of all objects in a bucket."""
    pages = services.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def next_match(services: ExternalServices) -> dict[str, Any]:
    """The next fixture."""
    answer = httpx.get(f"{services.api}/matches", params={"status": "scheduled", "limit": 1}, timeout=20)
    return dict(answer.json()["items"][0])


def forecasts(services: ExternalServices, match: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The published forecast of a match and a fresh one through the queue."""
    published = httpx.get(f"{services.api}/predict/{match['match_id']}", timeout=20)
    assert published.status_code == 200, published.text
    clubs = {name: match[name] for name in ("home_team", "away_team", "competition", "kick_off")}
    fresh = httpx.post(f"{services.api}/predict", json=clubs, timeout=40)
    assert fresh.status_code == 200, fresh.text
    return published.json(), fresh.json()


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.rabbitmq
@pytest.mark.chromium
@pytest.mark.timeout(1500)
def test_first_loop_passes_on_external_services(
    services: ExternalServices, repository: Path, require: Callable[[object, str], None]
) -> None:
    """The first loop passes with every service replaced by settings alone."""
    require(Path(CHROMIUM).exists(), "no Chromium on this machine (Debian: apt install chromium)")
    environment = {
        name: value for name, value in services.environment.items() if name != "TOUCHLINE_MLFLOW_TRACKING_URI"
    }
    first_loop(repository, environment)
    assert_all_state_is_external(services)


@pytest.mark.slow
@pytest.mark.rabbitmq
@pytest.mark.timeout(1500)
def test_external_state_is_followed_and_restored_from_a_backup(services: ExternalServices, tmp_path: Path) -> None:
    with services.serving():
        services.pipeline("2026-03-13T12:00:00Z")
        services.wait_for(f"{services.api}/healthcheck/ready")
        match = next_match(services)
        published, fresh = forecasts(services, match)
        assert published["probabilities"] == pytest.approx(fresh["probabilities"], abs=1e-9)
        assert_all_state_is_external(services)
        assert_result_is_in_redis(services, match)

        # A new model and new results arrive without a restart and without a shared disk.
        promote_second_version(services)
        services.pipeline("2026-03-20T12:00:00Z")
        settled = services.wait_for(
            f"{services.api}/matches/{match['match_id']}", lambda answer: answer.json().get("status") == "played"
        ).json()
        assert settled["score"] is not None
        match = next_match(services)
        before = published, fresh = forecasts(services, match)
        assert published["model"]["version"] == fresh["model"]["version"] == 2
        assert published["probabilities"] == pytest.approx(fresh["probabilities"], abs=1e-9)

    back_up(services, tmp_path)
    wipe(services)
    with services.serving():
        services.wait_for(f"{services.api}/healthcheck/")
        assert httpx.get(f"{services.api}/predict/{match['match_id']}", timeout=20).status_code == 404
        assert httpx.get(f"{services.api}/healthcheck/ready", timeout=20).status_code == 503
    restore(services, tmp_path)  # replaces the tables that the empty registry created
    with services.serving():
        services.wait_for(f"{services.api}/healthcheck/ready")
        assert forecasts(services, match) == before


def assert_all_state_is_external(services: ExternalServices) -> None:
    """Require lake and model on S3, registry and runs in PostgreSQL, and no files in the home folder."""
    assert {"lake", "mlflow"} == {key.split("/")[0] for key in objects(services, BUCKET)}
    tables = {use: f"host=127.0.0.1 user=postgres dbname={name}" for use, name in services.names.items()}
    proxied = "SELECT bool_and(artifact_location LIKE 'mlflow-artifacts:%') FROM experiments"
    for use, statement in (
        ("mlflow", "SELECT count(*) > 0 FROM model_versions"),
        ("mlflow", proxied),
        ("dagster", "SELECT count(*) > 0 FROM runs"),
    ):
        with psycopg2.connect(tables[use]) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            assert cursor.fetchone()[0] is True, statement
        connection.close()
    queues = json.loads(broker("list_queues", "-p", services.vhost, "name", "type", "--formatter", "json"))
    assert {"name": "ml", "type": "quorum"} in queues
    home = Path(services.environment["TOUCHLINE_HOME"])
    assert not (home / "lake").exists()
    assert not list(home.rglob("*.parquet"))


def assert_result_is_in_redis(services: ExternalServices, match: dict[str, Any]) -> None:
    """Require the result of an asynchronous task in the external store."""
    clubs = {name: match[name] for name in ("home_team", "away_team")}
    task = httpx.post(f"{services.api}/predict/async/", json=clubs, timeout=20).json()["task_id"]
    services.wait_for(
        f"{services.api}/monitoring/task_status/{task}", lambda answer: answer.json().get("status") == "success"
    )
    with redis.Redis(port=services.ports["redis"]) as store:
        assert store.exists(result_key(task))


def promote_second_version(services: ExternalServices) -> None:
    """Train and register a version, put it into production, and wait until the running worker has loaded it."""
    clubs = {"home_team": "Arsenal", "away_team": "Chelsea"}
    services.train()
    assert httpx.post(f"{services.api}/predict", json=clubs, timeout=40).json()["model"]["version"] == 1
    Registry(services.mlflow).set_alias(PRODUCTION, 2)
    services.wait_for(f"{services.api}/predict/model/info", lambda answer: answer.json().get("version") == 2)
    assert httpx.post(f"{services.api}/predict", json=clubs, timeout=40).json()["model"]["version"] == 2


def documented_command(tool: str, services: ExternalServices, database: str) -> list[str]:
    """The command from the chart's README, applied to a database of this test instead of one in the pod."""
    (command,) = re.findall(rf"-- ({tool} [^<>]+) [<>]", (services.root / "helm" / "README.md").read_text())
    program, *arguments = shlex.split(command)
    return [program, "-h", "127.0.0.1", *[database if argument == "$db" else argument for argument in arguments]]


def sync(services: ExternalServices, source: str, target: str) -> None:
    """Copy all objects, as `aws s3 sync` does with an empty target."""
    for key in objects(services, source):
        services.s3.copy_object(Bucket=target, Key=key, CopySource={"Bucket": source, "Key": key})


def back_up(services: ExternalServices, folder: Path) -> None:
    """Dump both databases into files, and copy the bucket."""
    for use, name in services.names.items():
        with (folder / f"{use}.dump").open("wb") as dump:
            subprocess.run(documented_command("pg_dump", services, name), stdout=dump, check=True)
    sync(services, BUCKET, BACKUP)


def wipe(services: ExternalServices) -> None:
    """Delete everything: databases, bucket, queues and results."""
    for name in services.names.values():
        sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        sql(f'CREATE DATABASE "{name}"')
    for key in objects(services, BUCKET):
        services.s3.delete_object(Bucket=BUCKET, Key=key)
    broker("delete_vhost", services.vhost)
    make_vhost(services.vhost)
    with redis.Redis(port=services.ports["redis"]) as store:
        store.flushall()


def restore(services: ExternalServices, folder: Path) -> None:
    """Bring back what was dumped and copied."""
    for use, name in services.names.items():
        with (folder / f"{use}.dump").open("rb") as dump:
            subprocess.run(documented_command("pg_restore", services, name), stdin=dump, check=True)
    sync(services, BACKUP, BUCKET)
