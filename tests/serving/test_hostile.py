"""Nothing that a caller sends makes the API fail: no 5xx, and every answer in the documented shape."""

from __future__ import annotations

import contextlib
import json
import math
import socket
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serving.stage import Service

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
RELAXED = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def _operations() -> list[tuple[str, str]]:
    from serving.app import create_app
    from serving.settings import ServingSettings

    paths = create_app(ServingSettings()).openapi()["paths"]
    return [(path, method) for path, methods in paths.items() for method in methods]


@pytest.mark.parametrize(("path", "method"), _operations())
def test_no_generated_request_is_answered_by_a_fault_or_outside_the_schema(
    service: Service, path: str, method: str
) -> None:
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json", config=SchemathesisConfig())
    operation = schema[path][method.upper()]

    @RELAXED
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        response = case.call(base_url=service.url, timeout=30)
        if path == "/healthcheck/ready" or response.status_code != 503:
            case.validate_response(response, checks=CHECKS)

    ask()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@settings(RELAXED, max_examples=60)
@given(body=st.dictionaries(st.sampled_from(["home_team", "away_team", "competition", "kick_off", "x"]), JSON) | JSON)
def test_any_json_is_a_forecast_or_a_problem_document(api: httpx.Client, body: Any) -> None:
    text = json.dumps(body).encode()
    for path in ("/predict", "/predict/async/", "/predict/batch"):
        answer = api.post(path, content=text, headers={"content-type": "application/json"})
        assert answer.status_code in {200, 202, 422}, answer.text
        if answer.status_code == 422:
            assert answer.json()["errors"]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b'{"home_team": NaN, "away_team": Infinity}',
        b'{"home_team": "Arsenal", "away_team": "Chelsea", "kick_off": 1e400}',
        b"\xff\xfe\x00",
        b"",
        b'{"home_team": "\\ud800", "away_team": "Chelsea"}',
        '{"home_team": "\u0410rsenal", "away_team": "Chelsea"}'.encode(),
        '{"home_team": "Arsenal\u202e", "away_team": "Chelsea"}'.encode(),
        b'{"home_team": "' + b"A" * 100_000 + b'", "away_team": "Chelsea"}',
        b'{"home_team": "Arsenal\\u0000", "away_team": "Chelsea"}',
    ],
)
def test_a_body_made_to_hurt_is_a_422(api: httpx.Client, body: bytes) -> None:
    answer = api.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 5000
    answer.json()


def test_fifty_megabytes_are_refused_without_being_read(api: httpx.Client) -> None:
    with contextlib.suppress(httpx.WriteError):  # the connection is closed while the rest is still being sent
        assert api.post("/predict", content=b" " * 50_000_000).status_code == 413
    assert api.get("/healthcheck/").status_code == 200


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


def test_headers_cannot_be_injected_through_the_request_id(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 10) as raw:
        raw.sendall(b"GET /healthcheck/ HTTP/1.1\r\nhost: x\r\nx-request-id: a\rSet-Cookie: b\r\n\r\n")
        raw.settimeout(10)
        answer = raw.recv(4000)
    assert b"\r\nSet-Cookie" not in answer


def test_probabilities_are_finite_and_sum_to_one(api: httpx.Client) -> None:
    found = api.post("/predict", json=PAIR).json()["probabilities"]
    assert math.isclose(sum(found.values()), 1, abs_tol=1e-9)


def test_the_worker_takes_json_only() -> None:
    from serving.worker import configuration

    assert configuration()["accept_content"] == ["json"]
