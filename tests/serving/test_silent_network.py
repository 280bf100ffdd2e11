"""The network between the worker and its broker or result store drops everything and resets nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.service_harness import Service, World, wait_until
from tests.support.silent_proxy import SilentProxy

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
pytestmark = pytest.mark.slow


@pytest.fixture
def proxied(
    master: World, brokers: Callable[[int], tuple[str, str]], tmp_path: Path
) -> Iterator[tuple[Service, list[SilentProxy]]]:
    """A service whose worker reaches broker and result store through a proxy each; the API reaches them directly."""
    addresses = brokers(14)
    service = Service(master, *addresses, tmp_path)
    with ExitStack() as stack:
        stack.callback(service.stop)
        service.start_api()
        ports = [int(re.search(r":(\d+)/", address)[1]) for address in addresses]
        proxies = [stack.enter_context(SilentProxy(port)) for port in ports]
        names = ("TOUCHLINE_BROKER_URL", "TOUCHLINE_RESULT_BACKEND_URL")
        for name, address, port, proxy in zip(names, addresses, ports, proxies, strict=True):
            service.extra[name] = address.replace(f":{port}/", f":{proxy.port}/")
        service.start_worker()
        service.wait_ready()
        yield service, proxies


@pytest.mark.parametrize("side", [0, 1], ids=["broker", "result store"])
def test_worker_behind_a_silent_network_is_noticed_and_goes_on_without_a_restart(
    proxied: tuple[Service, list[SilentProxy]], side: int
) -> None:
    service, proxies = proxied
    assert httpx.post(f"{service.url}/predict", json=PAIR, timeout=60).status_code == 200
    proxies[side].silence()
    wait_until(lambda: httpx.get(f"{service.url}/healthcheck/ready", timeout=30).status_code == 503)
    proxies[side].restore()
    service.wait_ready()
    assert httpx.post(f"{service.url}/predict", json=PAIR, timeout=60).status_code == 200
    assert service.processes["worker"].poll() is None
