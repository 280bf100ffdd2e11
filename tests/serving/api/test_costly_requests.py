"""A small request cannot make the API work for long: its answers to bad input are bounded, and say so."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from typing import Any, cast

import httpx
import pytest

from serving.api.app import create_app
from serving.api.catalogue.catalogue import Catalogue
from serving.api.dispatch.dispatcher import Dispatcher
from serving.api.dispatch.requests import ClientRequest
from serving.api.middleware import MAX_BODY_VALUES
from serving.api.query_params import NoQuery
from serving.api.routes.predictions import MAX_ERRORS_WITH_SUGGESTIONS, predict_batch
from serving.api.schemas.forecasts import BatchRequest
from serving.wire.limits import MAX_BATCH_SIZE
from tests.support.service_harness import World

MISSPELT = {"home_team": "Arsenl", "away_team": "Evertn"}


def test_similar_names_are_looked_up_for_the_first_errors(api: httpx.Client) -> None:
    """Every unknown club is told; the later errors say that similar names were not looked up."""
    matches = [{**MISSPELT, "away_team": f"Evertn{' ' * (number % 9)}{number}"} for number in range(MAX_BATCH_SIZE)]
    started = time.monotonic()
    errors = [item["error"] for item in api.post("/predict/batch", json={"matches": matches}).json()["items"]]
    assert time.monotonic() - started < 5
    assert len(errors) == MAX_BATCH_SIZE
    suggested = [number for number, error in enumerate(errors) if error["errors"][0]["suggestions"]]
    assert suggested == list(range(MAX_ERRORS_WITH_SUGGESTIONS))
    assert all("unknown" in error["errors"][0]["message"] for error in errors)
    assert "similar names are given for the first 20 errors" in errors[-1]["detail"]
    assert "similar names" not in errors[0]["detail"]


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({f"{number}": 1 for number in range(15_000)}, "body", "has 15000 fields; expected matches"),
        ({"matches": [{f"{number}": 1 for number in range(15_000)}]}, "matches.0", "has 15000 fields"),
        ({"matches": [{}] * MAX_BATCH_SIZE}, "matches.0.home_team", "the matches after number 0 were not checked"),
        ({"matches": [MISSPELT, {"x": 1}, {"y": 1}]}, "matches.1.home_team", "after number 1 were not checked"),
        ({"matches": [{f"{n}": 1 for n in range(10)}] * MAX_BATCH_SIZE}, "matches.0.home_team", "and 9 more"),
    ],
    ids=["fields", "fields of a match", "matches", "later matches", "fields of all matches"],
)
def test_validation_stops_early_and_says_so(api: httpx.Client, body: Any, field: str, says: str) -> None:
    answer = api.post("/predict/batch", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert says in answer.json()["detail"]
    assert len(answer.content) < 5_000


def test_too_many_fields_of_one_match_are_one_error(api: httpx.Client) -> None:
    for path in ("/predict", "/predict/async/"):
        (error,) = api.post(path, json={f"{number}": 1 for number in range(15_000)}).json()["errors"]
        assert error["message"] == "has 15000 fields; expected home_team, away_team, competition, kick_off"


@pytest.mark.parametrize("body", [b"[" + b"[]," * MAX_BODY_VALUES + b"1]", b"{" + b'"a":1,' * MAX_BODY_VALUES + b"}"])
def test_a_body_of_very_many_values_is_not_parsed(api: httpx.Client, body: bytes) -> None:
    """Parsing it would take the event loop longer than all else that a request can cause."""
    for path in ("/predict", "/predict/batch", "/predict/async/"):
        answer = api.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert f"more than {MAX_BODY_VALUES} values" in answer.json()["detail"]


def test_the_largest_batch_is_far_below_the_limit_of_values() -> None:
    match = {"home_team": "Köln, 1. FC", "away_team": "[x]", "competition": "a", "kick_off": "2026-03-14T15:00:00Z"}
    body = json.dumps({"matches": [match] * MAX_BATCH_SIZE}).encode()
    assert 3 * sum(map(body.count, (b",", b"[", b"{"))) < MAX_BODY_VALUES * 2


def test_a_batch_of_errors_leaves_no_garbage(world: World) -> None:
    """Errors that outlive their match form cycles with their frames; collecting a thousand of them took 100 ms."""
    catalogue = Catalogue(world.lake)
    catalogue.refresh()
    batch = BatchRequest.model_validate({"matches": [{**MISSPELT, "home_team": f"Arsenl {n}"} for n in range(300)]})

    async def answer() -> int:
        context = ClientRequest("/predict/batch", "id", asyncio.sleep)  # type: ignore[arg-type]  # never asked
        response = await predict_batch(batch, NoQuery(), catalogue, cast(Dispatcher, None), context)
        return len(json.loads(bytes(response.body))["items"])

    asyncio.run(answer())  # what is built once is built now
    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(answer()) == 300
        assert gc.collect() < 300
    finally:
        gc.enable()


def test_the_openapi_document_is_built_in_a_thread() -> None:
    """Building it takes long, once; other requests are answered meanwhile."""
    app, threads = create_app(), []
    build = app.openapi

    def observed_build() -> dict[str, Any]:
        threads.append(threading.current_thread())
        return build()

    app.openapi = observed_build  # type: ignore[method-assign]

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get("/openapi.json")

    assert asyncio.run(ask()).json()["info"]["title"] == "Touchline"
    assert threads[0] is not threading.main_thread()
