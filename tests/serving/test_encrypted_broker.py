"""A RabbitMQ that speaks TLS, with a certificate of the test's own authority: by each client, and end to end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from kombu.connection import Connection

from serving.addresses import parse_address
from serving.api.dispatch.broker import create_broker
from serving.api.dispatch.revocation import _Client
from serving.errors import BrokerUnavailableError
from serving.settings import ServingSettings
from serving.sockets import kombu_encryption, kombu_options
from serving.wire.queue import QUEUE
from tests.support.certificates import make_certificate
from tests.support.rabbitmq_server import SERVER, Rabbit
from tests.support.service_harness import Service, World

pytestmark = pytest.mark.rabbitmq


@dataclass(frozen=True)
class Encrypted:
    """Addresses of the node that each client accepts, and that each refuses."""

    verified: str
    unverified: str
    refused: tuple[str, ...]


@pytest.fixture(scope="module")
def node(require: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    """A RabbitMQ whose certificate is valid for localhost and not for 127.0.0.1."""
    require(SERVER.exists() and shutil.which("openssl"), "RabbitMQ or openssl is not installed")
    folder = tmp_path_factory.mktemp("tls-rabbit")
    authority, key = make_certificate(folder)
    rabbit = Rabbit(folder / "node", (authority, key))
    rabbit.start()
    yield Encrypted(
        verified=f"amqps://guest:guest@localhost:{rabbit.tls_port}/%2F?cafile={authority}",
        unverified=f"amqps://guest:guest@127.0.0.1:{rabbit.tls_port}?ssl_cert_reqs=none",
        refused=(
            f"amqps://guest:guest@127.0.0.1:{rabbit.tls_port}?cafile={authority}",
            f"amqps://guest:guest@localhost:{rabbit.tls_port}",
        ),
    )
    rabbit.stop()


def _worker_queue(url: str) -> None:
    address = parse_address("BROKER", url)
    options = kombu_options(address, answer_seconds=5)
    with Connection(address.url, ssl=kombu_encryption(address), transport_options=options) as connection:
        connection.channel().close()


def _revocations(url: str) -> None:
    with _Client(parse_address("BROKER", url)).connection_for_write() as connection:
        connection.channel().close()


@pytest.mark.parametrize("connect", [_worker_queue, _revocations])
def test_blocking_clients_connect_to_a_verified_node(node: Encrypted, connect: Callable[[str], None]) -> None:
    """With the authority's file they connect; with another host, or without the authority, they refuse."""
    connect(node.verified)
    connect(node.unverified)
    for url in node.refused:
        with pytest.raises(OSError, match="certificate verify failed"):
            connect(url)


@pytest.mark.anyio
async def test_the_api_connects_to_a_verified_node(node: Encrypted) -> None:
    """The same for the client that runs in the event loop; readiness and 503 have the reason in one sentence."""
    for url in (node.verified, node.unverified):
        broker = create_broker(ServingSettings(broker_url=url))
        assert QUEUE in {queue.name for queue in await broker.queue_stats()}
        await broker.close()
    for url in node.refused:
        broker = create_broker(ServingSettings(broker_url=url))
        with pytest.raises(BrokerUnavailableError, match=r"^RabbitMQ cannot be reached: .*certificate verify failed"):
            await broker.queue_stats()
        await broker.close()


def test_a_forecast_travels_over_encrypted_connections(
    node: Encrypted, master: World, valkey: str, tmp_path: Path
) -> None:
    """The processes themselves, with nothing but the address in their settings."""
    service = Service(master, node.verified, f"{valkey}/11", tmp_path)
    try:
        service.start_api()
        service.start_worker()
        service.wait_ready()
        pair = {"home_team": "Arsenal", "away_team": "Chelsea"}
        assert httpx.post(f"{service.url}/predict", json=pair, timeout=30).status_code == 200
    finally:
        service.stop()
