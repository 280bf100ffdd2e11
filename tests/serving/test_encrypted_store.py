"""A Redis that speaks TLS, with a certificate of the test's own authority, and one on a Unix socket: by each client."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kombu.connection import Connection
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from serving.addresses import parse_address
from serving.api.dispatch.store_client import StoreClient
from serving.sockets import kombu_encryption, kombu_options, redis_options
from tests.support.certificates import make_certificate
from tests.support.ports import free_port
from tests.support.service_harness import wait_until

PASSWORD = "p@/ #%"
QUOTED = "p%40%2F%20%23%25"


@dataclass(frozen=True)
class Server:
    """Where the server listens."""

    port: int
    socket: Path
    authority: Path


@pytest.fixture(scope="module")
def server(require: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis with a password, whose certificate is valid for localhost and not for 127.0.0.1."""
    binary = shutil.which("redis-server")
    require(binary and shutil.which("openssl"), "Redis or openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate(folder)
    port, socket = free_port(), folder / "redis.sock"
    process = subprocess.Popen(
        [str(binary), "--port", "0", "--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key,
         "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no", "--unixsocket", str(socket), "--save", "",
         "--requirepass", PASSWORD],
        cwd=folder, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(socket.exists)
    yield Server(port, socket, certificate)
    process.kill()
    process.wait()


def _worker_client(url: str) -> Any:
    options = redis_options(parse_address("RESULTS", url), answer_seconds=5)
    return Redis(**options, retry=Retry(NoBackoff(), 0)).ping()


def _worker_queue(url: str) -> Any:
    address = parse_address("BROKER", url)
    options = kombu_options(address, answer_seconds=5)
    with Connection(address.url, ssl=kombu_encryption(address), transport_options=options) as connection:
        return connection.channel().client.ping()


@pytest.mark.parametrize("connect", [_worker_client, _worker_queue])
def test_blocking_clients_connect_to_a_verified_server(server: Server, connect: Callable[[str], Any]) -> None:
    """With the authority's file they connect; with another host, or without the authority, they refuse."""
    assert connect(f"rediss://:{QUOTED}@localhost:{server.port}/5?ssl_ca_certs={server.authority}")
    assert connect(f"rediss://:{QUOTED}@127.0.0.1:{server.port}?ssl_cert_reqs=none")
    assert connect(f"unix://:{QUOTED}@{server.socket}?db=5")
    for refused in (f"127.0.0.1:{server.port}?cafile={server.authority}", f"localhost:{server.port}"):
        with pytest.raises((RedisError, OSError), match="certificate verify failed"):
            connect(f"rediss://:{QUOTED}@{refused}")


@pytest.mark.anyio
async def test_the_api_connects_to_a_verified_server(server: Server) -> None:
    """The same for the client that runs in the event loop."""
    good = f"rediss://:{QUOTED}@localhost:{server.port}/5?cafile={server.authority}"
    for url in (good, f"valkeys://:{QUOTED}@127.0.0.1:{server.port}/5?ssl_cert_reqs=none"):
        client = StoreClient(parse_address("RESULTS", url), 5)
        assert await client.call(lambda redis: redis.ping())
        await client.close()
    client = StoreClient(parse_address("RESULTS", f"unix://:{QUOTED}@{server.socket}"), 5)
    assert await client.call(lambda redis: redis.ping())
    await client.close()
    for refused in (f"127.0.0.1:{server.port}?cafile={server.authority}", f"localhost:{server.port}"):
        client = StoreClient(parse_address("RESULTS", f"rediss://:{QUOTED}@{refused}"), 5)
        with pytest.raises((RedisError, OSError), match="certificate verify failed"):
            await client.call(lambda redis: redis.ping())
        await client.close()
