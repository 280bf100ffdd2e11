"""The limits of the API: keys, body sizes, timeouts, load and origins."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from serving.api.api_keys import ApiKeys, create
from serving.api.dispatch.admission import NO_WORKERS_GRACE_SECONDS
from tests.support.openapi_assertions import documented
from tests.support.prometheus_samples import samples
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}


@pytest.fixture(scope="module")
def guarded(master: World, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """An API without workers, with API keys, a small body limit and one allowed origin."""
    folder = tmp_path_factory.mktemp("guarded")
    key, line = create("tester")
    (folder / "keys").write_text(f"# made for a test\n{line}\n")
    extra = {
        "TOUCHLINE_API_KEYS_FILE": str(folder / "keys"),
        "TOUCHLINE_MAX_BODY_BYTES": "5000",
        "TOUCHLINE_HTTP_IO_TIMEOUT_SECONDS": "1",
        "TOUCHLINE_MAX_QUEUE_LENGTH": "8",
        "TOUCHLINE_CORS_ORIGINS": "https://example.org",
    }
    service = Service(master, f"{valkey}/2", f"{valkey}/3", folder, extra)
    service.start_api()
    head = {"X-API-Key": key}
    wait_until(lambda: httpx.get(f"{service.url}/teams", headers=head).json()["items"])
    yield service, key
    service.stop()


@pytest.fixture
def client(guarded: tuple[Service, str]) -> Iterator[httpx.Client]:
    """A client that has the key."""
    with httpx.Client(base_url=guarded[0].url, headers={"X-API-Key": guarded[1]}, timeout=20) as http_client:
        yield http_client


def test_without_a_known_key_only_public_paths_respond(guarded: tuple[Service, str]) -> None:
    """The public paths are health, metrics and API docs."""
    service, key = guarded
    for headers in ({}, {"X-API-Key": "tl_wrong"}, {"Authorization": "Basic eDp5"}, {"X-API-Key": "é"}):
        raw = {name.encode(): value.encode() for name, value in headers.items()}
        answer = httpx.get(f"{service.url}/teams", headers=raw)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        documented(service.url, "/teams", answer)
    assert httpx.get(f"{service.url}/teams", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    for path in ("/healthcheck/", "/metrics", "/openapi.json"):
        assert httpx.get(f"{service.url}{path}").status_code == 200
    assert samples(httpx.get(f"{service.url}/metrics").text)["touchline_errors_total", "unauthorised"] >= 4


@pytest.mark.parametrize(
    "path",
    [
        "/healthcheck/../teams",
        "/metrics/../teams",
        "/docs/%2e%2e/teams",
        "/healthcheck%2f..%2fteams",
        "//teams",
        "/Teams",
    ],
)
def test_no_address_leads_around_the_keys(guarded: tuple[Service, str], path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", guarded[0].port, timeout=20)  # sends the path unchanged
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status in {401, 404}
    assert b"Arsenal" not in answer.read()
    connection.close()


def test_the_fast_path_does_not_bypass_api_keys(client: httpx.Client) -> None:
    """A pair that an authorised client asked for stays protected."""
    assert client.post("/predict/async/", json=PAIR).status_code == 202
    for path, body in (("/predict", PAIR), ("/predict/batch", {"matches": [PAIR]})):
        assert httpx.post(f"{str(client.base_url).rstrip('/')}{path}", json=body).status_code == 401


def test_the_file_of_keys_holds_no_key(guarded: tuple[Service, str]) -> None:
    service, key = guarded
    text = (service.folder / "keys").read_text()
    assert key not in text
    assert ApiKeys.read(service.folder / "keys").authenticate(key) == "tester"
    assert ApiKeys.read(service.folder / "keys").authenticate(key + "x") is None


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_of_a_key_may_be_in_any_case(guarded: tuple[Service, str], scheme: str) -> None:
    service, key = guarded
    assert httpx.get(f"{service.url}/teams", headers={"Authorization": f"{scheme} {key}"}).status_code == 200


def test_readiness_tells_addresses_to_callers_with_a_key_alone(guarded: tuple[Service, str]) -> None:
    """Without a key, it tells which part is down but not why, since reasons contain addresses."""
    service, key = guarded
    parts = httpx.get(f"{service.url}/healthcheck/ready").json()["parts"]
    assert {part["detail"] for part in parts.values()} <= {"ok", "not available; send an API key to read the reason"}
    assert not parts["model"]["ok"]
    known = httpx.get(f"{service.url}/healthcheck/ready", headers={"X-API-Key": key}).json()["parts"]
    assert {name: part["ok"] for name, part in known.items()} == {name: part["ok"] for name, part in parts.items()}
    assert "clubs" in known["lake"]["detail"]


def test_foreign_pages_may_change_nothing(client: httpx.Client) -> None:
    """The refusal is documented and counted; a page of an allowed origin may call."""
    for path in ("/predict", "/predict/batch", "/predict/async/"):
        answer = client.post(path, json=PAIR, headers={"Origin": "https://evil.example"})
        assert (answer.status_code, answer.json()["title"]) == (403, "Foreign origin")
        documented(str(client.base_url), path, answer)
    assert client.post("/predict", json={}, headers={"Origin": "https://example.org"}).status_code == 422


def test_no_answer_is_taken_for_another_type(guarded: tuple[Service, str], client: httpx.Client) -> None:
    for path in ("/teams", "/nowhere", "/metrics", "/healthcheck/"):
        assert client.get(path).headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{guarded[0].url}/teams").headers["x-content-type-options"] == "nosniff"


def test_report_page_runs_apart_from_the_api(guarded: tuple[Service, str], client: httpx.Client) -> None:
    """Its scripts get no origin, load nothing from elsewhere, and no other page may frame it."""
    guarded[0].world.lake.write_bytes("reports/drift/week=2026-01-05/report.html", b"<html></html>")
    headers = client.get("/monitoring/drift/2026-01-05/report").headers
    policy = {part.split()[0]: part.split()[1:] for part in headers["content-security-policy"].split(";")}
    assert policy["sandbox"] == ["allow-scripts", "allow-popups"]
    assert (policy["default-src"], policy["frame-ancestors"]) == (["'none'"], ["'none'"])
    assert not any("http" in source or source == "*" for sources in policy.values() for source in sources)
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")


def test_without_a_worker_nobody_is_kept_waiting(client: httpx.Client) -> None:
    wait_until(lambda: client.get("/healthcheck/ready").status_code == 503)
    time.sleep(NO_WORKERS_GRACE_SECONDS + 1)  # a worker that only restarts is waited for
    answer = client.post("/predict", json=PAIR)
    assert (answer.status_code, answer.json()["title"]) == (503, "No worker")
    documented(str(client.base_url), "/predict", answer)
    assert _scrape(client)["touchline_errors_total", "no_worker"] >= 1
    ready = documented(str(client.base_url), "/healthcheck/ready", client.get("/healthcheck/ready"))
    missing = {name for name, part in ready.json()["parts"].items() if not part["ok"]}
    assert (ready.status_code, missing) == (503, {"workers", "model"})
    assert client.get("/healthcheck/").status_code == 200


def test_tasks_are_shed_before_the_queue_outgrows_its_limit(client: httpx.Client) -> None:
    for _ in range(8):
        client.post("/predict/async/", json=PAIR)
    answer = wait_until(lambda: _if_shed(client.post("/predict/async/", json=PAIR)))
    documented(str(client.base_url), "/predict/async/", answer)
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["title"] == "Overloaded"
    metrics = _scrape(client)
    assert metrics["touchline_shed_requests_total", "/predict/async"] == metrics["touchline_errors_total", "shed"] >= 1
    (queue,) = client.get("/monitoring/celery/queues").json()["items"]
    assert (queue["name"], queue["consumers"]) == ("ml", 0)
    assert metrics["touchline_queue_length", "ml"] == queue["messages"] >= 8


def test_a_large_body_is_refused_declared_or_not(client: httpx.Client) -> None:
    for path in ("/predict", "/predict/async/", "/predict/batch"):
        before = _scrape(client).get(("touchline_errors_total", "too_large"), 0)
        for content in (b"[" * 5001, (b"[" * 1000 for _ in range(6))):
            answer = client.post(path, content=content)
            assert answer.status_code == 413
            documented(str(client.base_url), path, answer)
        assert _scrape(client)["touchline_errors_total", "too_large"] == before + 2


@pytest.mark.parametrize("drop", [b"", b" "], ids=["stops", "trickles"])
def test_a_body_that_does_not_arrive_is_not_waited_for(guarded: tuple[Service, str], drop: bytes) -> None:
    service, key = guarded
    with socket.create_connection(("127.0.0.1", service.port), 10) as slow:
        head = f"POST /predict HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: 1000\r\n\r\n{{"
        slow.sendall(head.encode())
        slow.settimeout(0.1)
        answer = b""
        for _ in range(100):  # ten seconds; the timeout is one second
            with contextlib.suppress(TimeoutError):
                answer = slow.recv(100)
            if answer:
                break
            slow.sendall(drop)
        assert answer.startswith(b"HTTP/1.1 408")


def test_only_allowed_origins_may_call_from_a_browser(client: httpx.Client) -> None:
    for origin, allowed in (("https://example.org", "https://example.org"), ("https://evil.example", None)):
        answer = client.get("/teams", headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed
    ask = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    assert client.options("/predict", headers=ask).status_code == 200


def _scrape(client: httpx.Client) -> dict[tuple[str, ...], float]:
    return samples(client.get("/metrics").text)


def _if_shed(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.status_code == 503 else None
