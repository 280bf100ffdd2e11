"""The API behind a reverse proxy that publishes it under a path and removes that path from requests."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from serving.api.api_keys import create
from tests.support.service_harness import Service, World

ROOT = "/football/api"
PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}


@pytest.fixture(scope="module")
def proxied(master: World, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """What such a proxy sends to an API with keys and a worker."""
    folder = tmp_path_factory.mktemp("proxied")
    key, line = create("client")
    (folder / "keys").write_text(line)
    extra = {"TOUCHLINE_API_ROOT_PATH": f"{ROOT}/", "TOUCHLINE_API_KEYS_FILE": str(folder / "keys")}
    service = Service(master, f"{valkey}/4", f"{valkey}/5", folder, extra)
    try:
        service.start_api()
        service.start_worker()
        service.wait_ready()
        with httpx.Client(base_url=service.url, headers={"x-api-key": key}, timeout=40) as client:
            yield client
    finally:
        service.stop()


def _behind_proxy(address: str) -> str:
    """The path that the proxy requests for an address that a client has read."""
    assert address.startswith(f"{ROOT}/"), address
    return address.removeprefix(ROOT)


def test_the_documentation_finds_its_parts(proxied: httpx.Client) -> None:
    page = proxied.get("/docs").text
    addresses = re.findall(r'(?:href|src)="(/[^"]+)"', page) + re.findall(r"url: '([^']+)'", page)
    assert len(addresses) >= 4
    for address in addresses:
        assert proxied.get(_behind_proxy(address)).status_code == 200, address


def test_the_document_names_its_server(proxied: httpx.Client) -> None:
    assert proxied.get("/openapi.json").json()["servers"] == [{"url": ROOT}]


def test_addresses_in_responses_have_the_prefix(proxied: httpx.Client) -> None:
    assert _behind_proxy(proxied.get("/").headers["location"]) == "/docs"
    accepted = proxied.post("/predict/async/", json=PAIR)
    assert accepted.status_code == 202
    status = proxied.get(_behind_proxy(accepted.headers["location"]))
    assert status.json()["task_id"] == accepted.json()["task_id"]


def test_every_kind_of_request_is_answered(proxied: httpx.Client) -> None:
    for _ in range(2):  # through FastAPI, then on the fast path
        assert proxied.post("/predict", json=PAIR).status_code == 200
    assert proxied.get("/matches").status_code == 200
    assert 'route="/predict"' in proxied.get("/metrics").text


def test_public_paths_need_no_key(proxied: httpx.Client) -> None:
    anonymous = {"x-api-key": ""}
    for path in ("/healthcheck/", "/metrics", "/docs", "/openapi.json"):
        assert proxied.get(path, headers=anonymous).status_code == 200, path
    assert proxied.get("/matches", headers=anonymous).status_code == 401
