"""No request makes the API fail: there is no 5xx, and every response has its documented shape."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF, load
from features.matches import Status, as_known_at
from features.season_simulation import simulate
from serving.api.api_keys import create
from serving.api.app import create_app
from serving.settings import ServingSettings
from serving.wire.tasks import PREDICT_ASYNC, PREDICT_COLUMNS
from tests.support.lake_reports import write_reports
from tests.support.pickled_message import publish_pickle
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
RELAXED = settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def complete(master: World, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A service that requires API keys and has every kind of report in its lake, with a valid key."""
    folder = tmp_path_factory.mktemp("complete")
    shutil.copytree(master.lake_root, folder / "lake")
    world = World(folder / "lake", master.tracking_uri)
    write_reports(world.lake)
    world.lake.write_bytes("reports/drift/week=2026-03-09/report.html", b"<html>drift</html>")
    season = as_known_at(load(), REPLAY_AS_OF).query("season == '2025-26'").reset_index(drop=True)
    ahead = season.loc[season["status"] != Status.PLAYED, ["match_id"]].assign(home=0.45, draw=0.27, away=0.28)
    final = simulate(season, ahead, np.tile(np.log([1.5, 1.2]), (len(ahead), 1)), runs=100).assign(complete=True)
    final = final.assign(season="2025-26", model_version=1, features_as_of=pd.Timestamp(REPLAY_AS_OF))
    world.lake.write_table("season_forecast", COMPETITION, final)
    key, line = create("tester")
    (folder / "keys").write_text(line)
    extra = {"TOUCHLINE_API_KEYS_FILE": str(folder / "keys")}
    service = Service(world, f"{valkey}/4", f"{valkey}/5", folder, extra)
    service.start_api()
    service.start_worker()
    service.wait_ready()
    yield service, key
    service.stop()


def _operations() -> list[Any]:
    paths = create_app(ServingSettings()).openapi()["paths"]
    return [
        pytest.param(path, method, mode, id=f"{mode.value} {method} {path}")
        for path, methods in paths.items()
        for method, operation in methods.items()
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE or operation.get("parameters") or operation.get("requestBody")
    ]


@pytest.mark.parametrize(("path", "method", "mode"), _operations())
def test_generated_requests_get_no_5xx_and_documented_responses(
    complete: tuple[Service, str], path: str, method: str, mode: GenerationMode
) -> None:
    service, key = complete
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json", config=SchemathesisConfig())
    operation = schema[path][method.upper()]

    @RELAXED
    @given(case=operation.as_strategy(mode))
    def ask(case: Any) -> None:
        response = case.call(base_url=service.url, headers={"X-API-Key": key}, timeout=30)
        assert response.status_code != 401, "without an accepted key only the rejection would be checked"
        case.validate_response(response, checks=CHECKS)

    ask()


def test_responses_of_a_full_lake_match_their_schemas(complete: tuple[Service, str]) -> None:
    """Reports, final table and rating history are empty in other tests."""
    service, key = complete
    match = "eng-premier-league-2025-26-arsenal-chelsea"
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json", config=SchemathesisConfig())
    for path, names in (
        ("/monitoring/drift", {}),
        ("/monitoring/drift/{week}", {"week": "2026-03-09"}),
        ("/monitoring/drift/{week}/report", {"week": "2026-03-09"}),
        ("/monitoring/performance", {}),
        ("/monitoring/gate", {}),
        ("/competitions/{competition}/table", {"competition": COMPETITION}),
        ("/matches/{match_id}", {"match_id": match}),
        ("/matches/{match_id}/ratings", {"match_id": match}),
        ("/matches/{match_id}/insight", {"match_id": match}),
        ("/predict/{match_id}", {"match_id": match}),
    ):
        case = schema[path]["GET"].Case(path_parameters=names)
        response = case.call(base_url=service.url, headers={"X-API-Key": key}, timeout=30)
        # The forecasts of this lake were published without their insights.
        assert response.status_code == (404 if path.endswith(("insight", "ratings")) else 200), (path, response.text)
        case.validate_response(response, checks=CHECKS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


USABLE = st.sampled_from(["Arsenal", "chelsea ", COMPETITION, "2026-05-01T15:00Z"])


@settings(RELAXED, max_examples=60)
@given(
    body=st.dictionaries(
        st.sampled_from(["home_team", "away_team", "competition", "kick_off", "x"]), USABLE | JSON, min_size=2
    )
    | JSON
)
def test_any_json_is_a_forecast_or_a_problem_document(api: httpx.Client, body: Any) -> None:
    many = {"matches": [PAIR, body]}
    for path, sent in (
        ("/predict", body),
        ("/predict/async/", body),
        ("/predict/batch", body),
        ("/predict/batch", many),
    ):
        content = json.dumps(sent).encode()
        answer = api.post(path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code in {200, 202, 422}, answer.text
        if answer.status_code == 422:
            assert answer.json()["errors"]
        elif path == "/predict/batch":
            first, second = answer.json()["items"]
            assert first["forecast"] and bool(second["forecast"]) != bool(second["error"])


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b'{"home_team": NaN, "away_team": Infinity}',
        b'{"home_team": "Arsenal", "away_team": "Chelsea", "kick_off": -Infinity}',
        b'{"home_team": "Arsenal", "away_team": "Chelsea", "kick_off": 1e400}',
        b"\xff\xfe\x00",
        b"",
        b'{"home_team": "\\ud800", "away_team": "Chelsea"}',
        '{"home_team": "\u0410rsenal", "away_team": "Chelsea"}'.encode(),
        b'{"home_team": "' + b"A" * 100_000 + b'", "away_team": "Chelsea"}',
    ],
)
def test_a_body_made_to_hurt_is_a_422(api: httpx.Client, body: bytes) -> None:
    for path, content in (("/predict", body), ("/predict/async/", body), ("/predict/batch", _among_others(body))):
        answer = api.post(path, content=content, headers={"content-type": "application/json"})
        assert len(answer.content) < 5000
        if answer.status_code == 200:  # a batch is accepted, only the item in it is rejected
            harmless, hurting = answer.json()["items"]
            assert path == "/predict/batch" and harmless["forecast"]
            assert (hurting["forecast"], hurting["error"]["status"]) == (None, 422)
            continue
        assert answer.status_code == 422, answer.text[:300]
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 422


@pytest.mark.parametrize("invisible", ["\u202e", "\u0000", "\u200b"], ids=["direction", "null", "zero width"])
def test_invisible_characters_of_a_name_are_ignored(api: httpx.Client, invisible: str) -> None:
    """The answer names the club without them."""
    answer = api.post("/predict", json={"home_team": f"Arsenal{invisible}", "away_team": "Chelsea"})
    assert answer.status_code == 200, answer.text[:300]
    assert answer.json()["home_team"] == "Arsenal"
    assert invisible not in answer.text


def _among_others(item: bytes) -> bytes:
    return b'{"matches": [' + json.dumps(PAIR).encode() + b", " + item + b"]}"


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "in chunks"])
def test_fifty_megabytes_are_refused_without_being_taken(service: Service, declared: bool) -> None:
    size, sent = 50_000_000, 0
    with socket.create_connection(("127.0.0.1", service.port), 20) as raw:
        how = f"content-length: {size}" if declared else "transfer-encoding: chunked"
        raw.sendall(f"POST /predict HTTP/1.1\r\nhost: x\r\n{how}\r\n\r\n".encode())
        part = b" " * 65536 if declared else b"10000\r\n" + b" " * 65536 + b"\r\n"
        raw.settimeout(0.05)
        answer = b""
        while not answer and sent < size:
            with contextlib.suppress(TimeoutError, ConnectionError):
                sent += raw.send(part)
            with contextlib.suppress(TimeoutError):
                answer = raw.recv(4000)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 10_000_000
    assert httpx.get(f"{service.url}/healthcheck/").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/predict/..%2f..%2fetc%2fpasswd",
        "/matches/%00",
        "/matches/" + "a" * 5000,
        "/monitoring/drift/..%2f..%2f..%2fetc/report",
        "/monitoring/drift/2026-03-09%0d%0aSet-Cookie:x/report",
        "/competitions/..%2fmatches/table",
        "/monitoring/task_status/*",
        "/matches?limit=1e9",
        "/matches?limit=999999999999999999999",
        "/matches?date_from=0000-00-00",
        "/matches?cursor=%ff%fe",
        "/matches?cursor=MDAwMS0wMS0wMVQwMDowMDowMCswMDowMCBh",
        "/matches?team=%F0%9F%92%A9",
    ],
)
def test_an_address_made_to_hurt_is_a_4xx_or_harmless(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code in {200, 404, 422}, answer.text[:300]
    assert "root:" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("name", ["x-request-id", "idempotency-key", "traceparent", "authorization", "origin"])
@pytest.mark.parametrize(
    "value", [b"a\rSet-Cookie: b", b"a\nSet-Cookie: b", b"a\x00Set-Cookie: b", b"a\r\n Set-Cookie: b"]
)
def test_headers_cannot_be_injected_through_those_that_are_read(service: Service, name: str, value: bytes) -> None:
    body = json.dumps(PAIR).encode()
    head = f"POST /predict/async/ HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{name}: "
    with socket.create_connection(("127.0.0.1", service.port), 10) as raw:
        raw.sendall(head.encode() + value + b"\r\n\r\n" + body)
        raw.settimeout(10)
        answer = b""
        while part := raw.recv(4000):
            answer += part
    assert answer.startswith((b"HTTP/1.1 202 ", b"HTTP/1.1 4"))
    assert b"\nset-cookie" not in answer.lower()


@pytest.mark.parametrize("name", ["Idempotency-Key", "traceparent", "Authorization", "X-API-Key", "X-Request-ID"])
@pytest.mark.parametrize("value", ["", "é", "\x7f", "a" * 5000, "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "'; --"])
def test_headers_of_any_content_are_harmless(service: Service, name: str, value: str) -> None:
    raw = {name.encode(): value.encode("latin-1")}
    answer = httpx.post(f"{service.url}/predict/async/", json=PAIR, headers=raw)
    assert answer.status_code in {202, 400, 422}


def test_probabilities_are_finite_and_sum_to_one(api: httpx.Client) -> None:
    probabilities = api.post("/predict", json=PAIR).json()["probabilities"]
    assert math.isclose(sum(probabilities.values()), 1, abs_tol=1e-9)


@pytest.mark.parametrize("task", [PREDICT_ASYNC, PREDICT_COLUMNS, "no.such.task"])
def test_a_pickled_message_is_refused_and_the_worker_goes_on(
    api: httpx.Client, service: Service, tmp_path: Path, task: str
) -> None:
    publish_pickle(service.broker_url, task, tmp_path / "loot")
    for _ in range(5):
        assert api.post("/predict", json=PAIR).status_code == 200
    assert not (tmp_path / "loot").exists()
    wait_until(lambda: api.get("/monitoring/celery/queues").json()["items"][0]["messages"] == 0)
    assert "ContentDisallowed" in (service.folder / "worker.log").read_text()
