"""The first loop with nothing kept in the processes: PostgreSQL, RabbitMQ, Redis and S3 by settings alone.

Then new models and results, followed without a shared disk, and the backup that the chart's README describes: dump,
wipe, restore, same forecasts.
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
from serving.api.dispatch.result_store import result_key
from tests.support.local_stack import CHROMIUM, first_loop
from tests.support.ports import free_port

SERVER = "host=127.0.0.1 port=5432 user=postgres dbname=postgres connect_timeout=3"
BUCKET, BACKUP = "touchline", "touchline-backup"
PATIENCE = 300
DATABASES = ("mlflow", "dagster")


@dataclass
class World:
    """The services outside, and the environment that tells the processes where they are."""

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
        """A process of ours, from here to the end of the block."""
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
        """Registry, worker and API, all of them answering."""
        server = ("mlflow", "server", "--host", "127.0.0.1", "--port", str(self.ports["mlflow"]), "--workers", "1")
        with (
            self.running("mlflow", *server),
            self.running("worker", "serving.worker"),
            self.running("api", "serving.api"),
        ):
            self.wait_for(f"{self.mlflow}/health")
            yield

    def pipeline(self, as_of: str) -> None:
        """One run of the whole chain, standing at a moment."""
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
        """One more version of the model, through Dagster's command."""
        config = self.logs / "train.yaml"
        recipe = {"reason": "a second version", "regularisation": 0.11}  # the same one again would add nothing
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
        """The first good answer."""
        deadline = time.monotonic() + PATIENCE
        told: object = None
        while time.monotonic() < deadline:
            try:
                answer = httpx.get(address, timeout=10)
                told = answer.text
                if good(answer):
                    return answer
            except httpx.HTTPError as error:
                told = error
            time.sleep(0.3)
        pytest.fail(f"nothing good at {address}: {told}; logs in {self.logs}")


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
    """An empty virtual host that the user guest may do everything in."""
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
def world(
    tmp_path_factory: pytest.TempPathFactory, repository: Path, require: Callable[[object, str], None]
) -> Iterator[World]:
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
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOUCHLINE_", "AWS_"))}
        environment = {
            **kept,
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
        yield World(s3, names, vhost, environment, ports, repository, folder)


def objects(world: World, bucket: str) -> list[str]:
    """Everything in a bucket."""
    pages = world.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [one["Key"] for page in pages for one in page.get("Contents", [])]


def next_match(world: World) -> dict[str, Any]:
    """The next fixture."""
    answer = httpx.get(f"{world.api}/matches", params={"status": "scheduled", "limit": 1}, timeout=20)
    return dict(answer.json()["items"][0])


def forecasts(world: World, match: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The published forecast of a match and a fresh one through the queue."""
    published = httpx.get(f"{world.api}/predict/{match['match_id']}", timeout=20)
    assert published.status_code == 200, published.text
    asked = {name: match[name] for name in ("home_team", "away_team", "competition", "kick_off")}
    fresh = httpx.post(f"{world.api}/predict", json=asked, timeout=40)
    assert fresh.status_code == 200, fresh.text
    return published.json(), fresh.json()


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.rabbitmq
@pytest.mark.chromium
@pytest.mark.timeout(1500)
def test_first_loop_passes_on_external_services(
    world: World, repository: Path, require: Callable[[object, str], None]
) -> None:
    """The first loop passes with every service replaced by settings alone."""
    require(Path(CHROMIUM).exists(), "no Chromium on this machine (Debian: apt install chromium)")
    given = {name: value for name, value in world.environment.items() if name != "TOUCHLINE_MLFLOW_TRACKING_URI"}
    first_loop(repository, given)
    everything_is_outside(world)


@pytest.mark.slow
@pytest.mark.rabbitmq
@pytest.mark.timeout(1500)
def test_state_outside_is_followed_and_comes_back_from_a_backup(world: World, tmp_path: Path) -> None:
    with world.serving():
        world.pipeline("2026-03-13T12:00:00Z")
        world.wait_for(f"{world.api}/healthcheck/ready")
        match = next_match(world)
        published, fresh = forecasts(world, match)
        assert published["probabilities"] == pytest.approx(fresh["probabilities"], abs=1e-9)
        everything_is_outside(world)
        a_result_is_kept_in_redis(world, match)

        # A new model and new results arrive without a restart and without a shared disk.
        a_second_version_takes_over(world)
        world.pipeline("2026-03-20T12:00:00Z")
        settled = world.wait_for(
            f"{world.api}/matches/{match['match_id']}", lambda answer: answer.json().get("status") == "played"
        ).json()
        assert settled["score"] is not None
        match = next_match(world)
        before = published, fresh = forecasts(world, match)
        assert published["model"]["version"] == fresh["model"]["version"] == 2
        assert published["probabilities"] == pytest.approx(fresh["probabilities"], abs=1e-9)

    back_up(world, tmp_path)
    wipe(world)
    with world.serving():
        world.wait_for(f"{world.api}/healthcheck/")
        assert httpx.get(f"{world.api}/predict/{match['match_id']}", timeout=20).status_code == 404
        assert httpx.get(f"{world.api}/healthcheck/ready", timeout=20).status_code == 503
    restore(world, tmp_path)  # over the tables that an empty registry made
    with world.serving():
        world.wait_for(f"{world.api}/healthcheck/ready")
        assert forecasts(world, match) == before


def everything_is_outside(world: World) -> None:
    """Lake and model on S3, the model through the registry's server, registry and runs in PostgreSQL; no files."""
    assert {"lake", "mlflow"} == {key.split("/")[0] for key in objects(world, BUCKET)}
    tables = {use: f"host=127.0.0.1 user=postgres dbname={name}" for use, name in world.names.items()}
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
    queues = json.loads(broker("list_queues", "-p", world.vhost, "name", "type", "--formatter", "json"))
    assert {"name": "ml", "type": "quorum"} in queues
    home = Path(world.environment["TOUCHLINE_HOME"])
    assert not (home / "lake").exists()
    assert not list(home.rglob("*.parquet"))


def a_result_is_kept_in_redis(world: World, match: dict[str, Any]) -> None:
    """The answer of an asynchronous task lies in the store outside, and nowhere else."""
    asked = {name: match[name] for name in ("home_team", "away_team")}
    task = httpx.post(f"{world.api}/predict/async/", json=asked, timeout=20).json()["task_id"]
    world.wait_for(
        f"{world.api}/monitoring/task_status/{task}", lambda answer: answer.json().get("status") == "success"
    )
    with redis.Redis(port=world.ports["redis"]) as store:
        assert store.exists(result_key(task))


def a_second_version_takes_over(world: World) -> None:
    """Trained and registered through the registry's server, put into production, loaded by the running worker."""
    asked = {"home_team": "Arsenal", "away_team": "Chelsea"}
    world.train()
    assert httpx.post(f"{world.api}/predict", json=asked, timeout=40).json()["model"]["version"] == 1
    Registry(world.mlflow).set_alias(PRODUCTION, 2)
    world.wait_for(f"{world.api}/predict/model/info", lambda answer: answer.json().get("version") == 2)
    assert httpx.post(f"{world.api}/predict", json=asked, timeout=40).json()["model"]["version"] == 2


def documented(tool: str, world: World, database: str) -> list[str]:
    """The command of the chart's README, for a database of this test instead of one in the pod."""
    (command,) = re.findall(rf"-- ({tool} [^<>]+) [<>]", (world.root / "helm" / "README.md").read_text())
    program, *arguments = shlex.split(command)
    return [program, "-h", "127.0.0.1", *[database if one == "$db" else one for one in arguments]]


def sync(world: World, source: str, target: str) -> None:
    """What `aws s3 sync` does with an empty target."""
    for key in objects(world, source):
        world.s3.copy_object(Bucket=target, Key=key, CopySource={"Bucket": source, "Key": key})


def back_up(world: World, folder: Path) -> None:
    """Dump both databases into files, and copy the bucket."""
    for use, name in world.names.items():
        with (folder / f"{use}.dump").open("wb") as dump:
            subprocess.run(documented("pg_dump", world, name), stdout=dump, check=True)
    sync(world, BUCKET, BACKUP)


def wipe(world: World) -> None:
    """Lose everything: databases, bucket, queues and results."""
    for name in world.names.values():
        sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        sql(f'CREATE DATABASE "{name}"')
    for key in objects(world, BUCKET):
        world.s3.delete_object(Bucket=BUCKET, Key=key)
    broker("delete_vhost", world.vhost)
    make_vhost(world.vhost)
    with redis.Redis(port=world.ports["redis"]) as store:
        store.flushall()


def restore(world: World, folder: Path) -> None:
    """Bring back what was dumped and copied."""
    for use, name in world.names.items():
        with (folder / f"{use}.dump").open("rb") as dump:
            subprocess.run(documented("pg_restore", world, name), stdin=dump, check=True)
    sync(world, BACKUP, BUCKET)
