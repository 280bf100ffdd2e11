"""Clients and balancers that keep connections for as long as they like lose no request."""

from __future__ import annotations

import asyncio
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import httpx
import pytest

from tests.support.service_harness import Service

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}


def _ask(connection: HTTPConnection) -> int:
    connection.request("POST", "/predict", json.dumps(PAIR), {"content-type": "application/json"})
    with connection.getresponse() as answer:
        answer.read()
        return answer.status


@pytest.mark.slow
def test_a_connection_that_idles_as_long_as_a_balancer_keeps_it_is_used_again(service: Service) -> None:
    """Balancers keep idle connections for 60 s, browsers for longer."""

    def ask_twice(idle_seconds: float) -> tuple[int, int, bool]:
        connection = HTTPConnection("127.0.0.1", service.port, timeout=30)
        first, socket = _ask(connection), connection.sock
        time.sleep(idle_seconds)
        return first, _ask(connection), connection.sock is socket

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(ask_twice, [6, 61, 74])) == [(200, 200, True)] * 3


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [3, pytest.param(12, marks=pytest.mark.soak)])
def test_two_hundred_pooled_connections_fail_no_request(service: Service, rounds: int) -> None:
    """Each is used again after about the five seconds after which many servers close an idle connection."""

    async def client(pool: httpx.AsyncClient, chance: random.Random) -> set[int]:
        statuses = set()
        for _ in range(rounds):
            statuses.add((await pool.get("/teams")).status_code)
            await asyncio.sleep(chance.uniform(4.8, 5.2))
        return statuses

    async def load() -> set[int]:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200, keepalive_expiry=None)
        async with httpx.AsyncClient(base_url=service.url, limits=limits, timeout=60) as pool:
            return set().union(*await asyncio.gather(*(client(pool, random.Random(number)) for number in range(200))))

    assert asyncio.run(load()) == {200}
