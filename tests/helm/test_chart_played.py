"""API and worker of the chart out of their real image, as pods that podman plays; the test does what a kubelet does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart_commands import IN_IMAGES, JobRun, pod_spec
from tests.support.chart_pods import PARTS, PROBES, Thing, adapt, addresses, container_of, deployments, forecast, passes
from tests.support.kubernetes_server import kubernetes_server
from tests.support.migrations import columns, make_older
from tests.support.mlflow_server import Tracking
from tests.support.ports import free_port
from tests.support.redis_server import Store
from tests.support.service_harness import build, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.service,
    pytest.mark.timeout(1200),
]  # the image is built, and its base where there is none

TOOLS = ("podman", "buildah", "runc", "catatonit")
SEARCHED = f"{os.environ['PATH']}:/usr/sbin:/usr/libexec/podman"
NO_BASE = 3
"""What .ci/build-image ends with where the base image cannot be had."""


def podman(*arguments: str, good: bool = True) -> str:
    """Output of a podman command."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 or not good, f"podman {' '.join(arguments)}: {done.stderr}"
    return done.stdout


@dataclass
class Played:
    """The pods of one release, and the broker beside them."""

    release: str
    api: str
    rendered: dict[str, Thing]
    broker: Store

    def container(self, part: str) -> str:
        """Name of the container of a part; some versions of podman put a number between pod and container."""
        names = podman("ps", "--all", "--format", "{{.Names}}").split()
        (found,) = [
            name for name in names if name.startswith(f"{self.release}-{part}-pod") and name.endswith(f"-{part}")
        ]
        return found

    def inside(self, part: str, *command: str, good: bool = True) -> str:
        """Output of a command in the container of a part."""
        return podman("exec", self.container(part), *command, good=good).strip()

    def command_inside(self, part: str, command: list[str]) -> list[str]:
        """The command that runs a command in the container of a part."""
        return ["podman", "exec", self.container(part), *command]

    def passing(self) -> set[tuple[str, str]]:
        """Part and name of every rendered probe that passes now."""
        return {
            (part, probe)
            for part in PARTS
            for probe in PROBES
            if passes(
                container_of(self.rendered[part])[probe],
                self.api,
                partial(self.command_inside, part),
            )
        }

    def become(self, wanted: set[tuple[str, str]]) -> None:
        """Wait until exactly the wanted probes pass."""
        seen: set[tuple[str, str]] = set()

        def there() -> bool:
            seen.clear()
            seen.update(self.passing())
            return seen == wanted

        try:
            wait_until(there, 120, 0.5)
        except AssertionError:
            logs = "\n".join(podman("logs", "--tail", "20", self.container(part), good=False) for part in PARTS)
            pytest.fail(f"these probes pass: {sorted(seen)}, these should: {sorted(wanted)}\n{logs}")


EVERY = {(part, probe) for part in PARTS for probe in PROBES}
READY = {(part, "readinessProbe") for part in PARTS}


@dataclass(frozen=True)
class Image:
    """An image built from this checkout, and what it stands on."""

    name: str
    base: str


@pytest.fixture(scope="module")
def built(repository: Path, require: Callable[[object, str], None]) -> Iterator[Callable[[str], Image]]:
    """Builds the image of a target, or takes it from the layers of an earlier build."""
    require(os.geteuid() == 0, "building and running images here takes root")
    missing = [tool for tool in TOOLS if shutil.which(tool, path=SEARCHED) is None]
    require(not missing, f"no {' and no '.join(missing)} on this machine (Debian: apt install {' '.join(missing)})")

    @cache
    def build_image(target: str) -> Image:
        made = subprocess.run([str(repository / ".ci" / "build-image"), target], capture_output=True, text=True)
        require(made.returncode != NO_BASE, made.stderr.strip().rpartition("\n")[2])
        assert made.returncode == 0, made.stderr
        return Image(f"localhost/touchline-{target}:0.1.0", made.stdout.strip())

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CONTAINERS_CONF", str(repository / ".ci" / "containers.conf"))
        yield build_image


@pytest.fixture(scope="module")
def image(built: Callable[[str], Image]) -> Image:
    """That of API and worker."""
    return built("serving")


@pytest.fixture(scope="module")
def played(image: Image, chart: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """A lake, a registry and a broker on loopback, and the two pods that use them."""
    folder, release = tmp_path_factory.mktemp("played"), f"touchline-{uuid.uuid4().hex[:8]}"
    at = free_port()
    with ExitStack() as stack:
        tracking = Tracking(f"sqlite:///{folder}/mlflow.db", folder, folder / "artifacts")
        stack.callback(tracking.kill)
        tracking.start()
        world = build(folder, tracking.url)
        broker = Store(folder / "valkey")
        stack.callback(broker.kill)
        broker.start()
        rendered = deployments(chart.render("values-dev.yaml", release=release), release)
        told = addresses(at, broker.port, tracking.url)
        pods = [adapt(rendered[part], told, world.lake_root) for part in PARTS]
        assert {container_of(pod)["image"] for pod in pods} == {image.name}
        (folder / "pods.yaml").write_text(yaml.safe_dump_all(pods))
        stack.callback(podman, "kube", "down", str(folder / "pods.yaml"), good=False)
        podman("kube", "play", "--network=host", str(folder / "pods.yaml"))
        yield Played(release, f"http://127.0.0.1:{at}", rendered, broker)


def test_the_image_is_small_says_what_it_is_and_has_no_compiler(image: Image) -> None:
    told, base = (json.loads(podman("image", "inspect", name))[0] for name in (image.name, image.base))
    assert told["Size"] - base["Size"] <= 450e6
    assert told["User"] == "10001:10001"
    assert told["Labels"]["org.opencontainers.image.version"]
    assert told["Labels"]["org.opencontainers.image.revision"] != "unknown"
    compilers = "for one in cc c++ gcc g++ clang make; do command -v $one; done; true"
    told = podman("run", "--rm", "--network=none", "--entrypoint", '["sh", "-c"]', image.name, compilers)
    assert told == ""


def test_the_pods_pass_their_probes_and_forecast(played: Played) -> None:
    played.become(EVERY)
    assert forecast(played.api)["model"]["version"] == 1


@pytest.mark.parametrize("part", PARTS)
def test_a_pod_has_no_rights(played: Played, part: str) -> None:
    assert played.inside(part, "id", "-u") == "10001"
    status = dict(line.split(":\t", 1) for line in played.inside(part, "cat", "/proc/1/status").splitlines())
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    for place in ("/app/x", "/opt/venv/x", "/lake/x", "/x"):
        assert played.inside(part, "sh", "-c", f"touch {place} 2>/dev/null || echo refused") == "refused", place
    assert played.inside(part, "sh", "-c", "touch /tmp/x && echo written") == "written"


def test_without_the_broker_the_pods_are_unready_and_not_killed_and_come_back(played: Played) -> None:
    played.become(EVERY)
    played.broker.kill()
    played.become(EVERY - READY)
    played.broker.start()
    played.become(EVERY)
    assert forecast(played.api)["model"]["version"] == 1


def job(things: list[Thing], name: str) -> Thing:
    """The pod of a Job or hook of helm."""
    (found,) = [thing for thing in things if thing["kind"] in {"Job", "Pod"}
                and thing["metadata"]["name"].endswith(f"-{name}")]  # fmt: skip
    return pod_spec(found)


MIGRATIONS = {"mlflow-migration": "mlflow", "dagster-migration": "orchestration"}


@pytest.mark.parametrize("age", ["empty", "older"])
@pytest.mark.parametrize("name", MIGRATIONS)
def test_a_migration_runs_in_its_image(
    built: Callable[[str], Image], chart: Any, databases: dict[str, str], tmp_path: Path, name: str, age: str
) -> None:
    """As the rendered Job says, with the account's token as a file; it brings any database to the newest revision."""
    built(MIGRATIONS[name])
    use, things = name.partition("-")[0], chart.render(upgrade=True)
    database = databases[use]
    uri = f"postgresql+psycopg2://postgres@127.0.0.1:5432/{database}"
    secrets = {"host": "127.0.0.1", "port": "5432", "dbname": database, "username": "postgres", "password": "p"}
    with kubernetes_server(tmp_path) as kubernetes:
        run = JobRun(things, job(things, name), tmp_path).arguments(secrets | {"uri": uri}, kubernetes)
        if age == "older":
            if use == "dagster":  # its migrations also go back, from the newest revision
                podman(*run)
            make_older(use, uri)
            before = columns(database)
        podman(*run)
    after = columns(database)
    assert {"mlflow": "registered_models", "dagster": "runs"}[use] in {table for table, *_ in after}
    if age == "older":
        assert after != before


def test_the_test_of_helm_passes_on_a_ready_api_alone(played: Played, chart: Any, tmp_path: Path) -> None:
    """The pod of `helm test`, in its image, against the API; without an answer there it fails."""
    played.become(EVERY)
    things = chart.render("values-dev.yaml", release=played.release)
    arguments = JobRun(things, job(things, "test"), tmp_path).arguments({})
    address = f"http://{played.release}-api:8000"
    assert address in arguments[-1]
    told = podman(*arguments[:-1], arguments[-1].replace(address, played.api))
    assert json.loads(told)["status"] == "ready"
    nowhere = arguments[-1].replace(address, f"http://127.0.0.1:{free_port()}")
    assert podman(*arguments[:-1], nowhere, good=False) == ""


def test_the_hook_before_the_end_of_the_api_drains_it(played: Played) -> None:
    """While the hook runs, the API is unready and answers; it takes as long as the values say."""
    played.become(EVERY)
    hook = container_of(played.rendered["api"])["lifecycle"]["preStop"]["exec"]["command"]
    began = time.monotonic()
    with subprocess.Popen(played.command_inside("api", hook)) as running:
        wait_until(lambda: ("api", "readinessProbe") not in played.passing(), 20, 0.2)
        assert forecast(played.api)["model"]["version"] == 1
        assert running.wait(60) == 0
    assert time.monotonic() - began >= 10
    played.inside("api", "rm", "/tmp/draining")
    played.become(EVERY)


def test_every_command_for_our_images_was_run_here() -> None:
    """What `IN_IMAGES` promises to the test that compares it with the chart."""
    assert {*MIGRATIONS, "test", "api preStop"} == IN_IMAGES


@pytest.mark.parametrize("part", PARTS)
def test_a_pod_that_is_told_to_stop_ends_in_its_grace(played: Played, part: str) -> None:
    """The last of this file: it leaves nothing running."""
    grace = played.rendered[part]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    podman("stop", "-t", str(grace), played.container(part))
    (told,) = json.loads(podman("inspect", played.container(part)))
    # 143: it ended by the signal itself, which is as orderly; 137 would be the kill after the grace.
    assert told["State"]["ExitCode"] in {0, 143}
