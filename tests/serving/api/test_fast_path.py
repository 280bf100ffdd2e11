"""The fast path answers some requests without FastAPI and passes all others on unchanged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from monitoring.metrics import PROCESS_REGISTRY
from serving.api.app import create_app
from serving.api.catalogue.resolved_fixture_cache import PairRequest, ResolvedFixtureCache
from serving.api.compression import CompressionMiddleware
from serving.api.dispatch.requests import ClientRequest
from serving.api.fast_path import FastPathMiddleware, FastRoute, PairBatch
from serving.api.head_requests import HeadMiddleware
from serving.api.middleware import ErrorMiddleware, RequestContextMiddleware, RequestGuardMiddleware
from serving.api.routes import predictions
from serving.errors import OverloadedError
from serving.settings import ServingSettings
from serving.wire.fixtures import Fixture

KNOWN = {"home_team": "Arsenal", "away_team": "Chelsea"}
FIXTURE = Fixture("m", "eng-premier-league", "2025-26", None, "Arsenal", "Chelsea", neutral=False)


def ask(
    body: Any,
    path: str = "/predict",
    query: bytes = b"",
    kinds: Sequence[bytes] = (b"application/json",),
    error: Exception | None = None,
) -> Mapping[str, Any]:
    """Send a request through the fast path and return what each handler got and what was sent back."""
    record: dict[str, Any] = {}
    fixtures = ResolvedFixtureCache()
    fixtures.add(None, "Arsenal", "Chelsea", FIXTURE)
    state = SimpleNamespace(
        catalogue=SimpleNamespace(snapshot=SimpleNamespace(fixture_cache=fixtures)), dispatcher=None
    )
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query,
        "request_id": "request-1",
        "headers": [(b"content-type", kind) for kind in kinds],
        "app": SimpleNamespace(state=state),
    }
    waiting: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": json.dumps(body).encode()}]

    async def answer(_: object, context: ClientRequest, requested: list[Fixture]) -> Response:
        if error is not None:
            raise error
        record["quick"], record["context"] = requested, context
        return Response(b"")

    async def rest(_: Scope, receive: Receive, __: Send) -> None:
        record["rest"] = [json.loads((await receive())["body"]), (await receive())["type"]]

    async def receive() -> Message:
        return waiting.pop()

    async def send(message: Message) -> None:
        record[message["type"]] = message

    fast_routes = {
        "/predict": FastRoute("/predict", PairRequest, answer),
        "/predict/batch": FastRoute("/predict/batch", PairBatch, answer),
    }
    asyncio.run(FastPathMiddleware(rest, fast_routes)(scope, receive, send))
    return {**record, "route": scope.get("route")}


@pytest.mark.parametrize(
    ("path", "body", "count"), [("/predict", KNOWN, 1), ("/predict/batch", {"matches": [KNOWN] * 3}, 3)]
)
def test_a_known_pair_is_answered_under_its_route(path: str, body: object, count: int) -> None:
    record = ask(body, path)
    assert record["quick"] == [FIXTURE] * count
    assert record["route"].path == record["context"].route == path
    assert "rest" not in record


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ({**KNOWN, "away_team": "Everton"}, {}),
        ({**KNOWN, "kick_off": "2026-03-14T15:00:00Z"}, {}),
        ({"matches": []}, {"path": "/predict/batch"}),
        (KNOWN, {"path": "/predict/async"}),
        (KNOWN, {"query": b"venue=moon"}),
        (KNOWN, {"kinds": [b"text/plain"]}),
        (KNOWN, {"kinds": [b"text/plain", b"application/json"]}),
        (KNOWN, {"kinds": []}),
    ],
)
def test_anything_else_reaches_fastapi_whole(body: object, changes: dict[str, Any]) -> None:
    record = ask(body, **changes)
    assert record["rest"] == [body, "http.disconnect"]
    assert "quick" not in record


def test_an_error_is_a_problem_with_retry_after_and_is_counted() -> None:
    """The fast path handles errors as FastAPI's endpoints do."""
    error = OverloadedError("many wait")
    error.retry_after_seconds = 7
    before = _shed()
    start = ask(KNOWN, error=error)["http.response.start"]
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"7"
    assert _shed() == before + 1


def _shed() -> float:
    return PROCESS_REGISTRY.get_sample_value("touchline_errors_total", {"kind": "shed"}) or 0.0


def test_what_nobody_expected_is_left_to_who_catches_all() -> None:
    with pytest.raises(RuntimeError, match="unexpected"):
        ask(KNOWN, error=RuntimeError("unexpected"))


def test_the_api_takes_it_behind_its_guard_for_routes_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path))
    app = create_app(ServingSettings())
    middleware: list[object] = [entry.cls for entry in app.user_middleware]
    assert middleware == [
        RequestContextMiddleware,
        ErrorMiddleware,
        RequestGuardMiddleware,
        FastPathMiddleware,
        CompressionMiddleware,
        HeadMiddleware,
    ]
    routes = {
        route.path for route in predictions.router.routes if isinstance(route, APIRoute) and "POST" in route.methods
    }
    assert {path for path in routes if "async" not in path} == set(predictions.FAST_ROUTES)
    assert all(way.path == path.rstrip("/") for path, way in predictions.FAST_ROUTES.items())
