"""Forecasts: computed now, one or many, and those that were published."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response

from features.errors import TouchlineError
from serving.api.catalogue.catalogue import Catalogue
from serving.api.catalogue.fixture_cache import PairRequest
from serving.api.dependencies import CatalogueDep, DeskDep, MatchId, Principal, problems
from serving.api.dispatch.coalescing import Caller
from serving.api.fast_path import FastRoute, PairBatch
from serving.api.middleware import route_of
from serving.api.problem_details import to_problem
from serving.api.query_params import StrictRoute
from serving.api.responses import OrjsonResponse
from serving.api.schemas.forecasts import (
    BatchRequest,
    BatchResponse,
    Forecast,
    PredictRequest,
    PublishedForecast,
    TaskAccepted,
)
from serving.api.serializers import not_published_error, serialize_forecast
from serving.errors import BadField, from_task
from serving.wire import forecast_json
from serving.wire.columns import Fixture
from serving.worker.execution import PREDICT

_BODY = (401, 408, 413, 422)


def _fixture(catalogue: Catalogue, wanted: PredictRequest) -> Fixture:
    return catalogue.fixture(wanted.home_team, wanted.away_team, wanted.competition, wanted.kick_off)


def _caller(request: Request) -> Caller:
    return Caller(route_of(request.scope) or "", request.scope["request_id"], request.is_disconnected)


async def _forecast(request: Request, fixtures: list[Fixture]) -> Response:
    return OrjsonResponse(await request.app.state.desk.ask(fixtures[0], _caller(request)))


async def _forecasts(
    request: Request, fixtures: list[Fixture], refused: Mapping[int, TouchlineError] = MappingProxyType({})
) -> Response:
    """Answer a batch: `fixtures` are its items in order, without those `refused`, which have their indices."""
    caller, errors, answers = _caller(request), dict(refused), None
    count = len(fixtures) + len(refused)
    indices = [index for index in range(count) if index not in refused] if refused else range(count)
    if fixtures:
        answers = await request.app.state.desk.ask_many(fixtures, caller)
        errors |= {indices[place]: from_task(error) for place, error in answers.errors}
    told = {
        index: to_problem(error, caller.request_id)[0].model_dump_json().encode() for index, error in errors.items()
    }
    return OrjsonResponse(forecast_json.batch(indices, fixtures, answers, told))


_FAST_ROUTES = (FastRoute("/predict", PairRequest, _forecast), FastRoute("/predict/batch", PairBatch, _forecasts))
FAST_ROUTES = {path: way for way in _FAST_ROUTES for path in (way.path, f"{way.path}/")}
"""What can be answered before FastAPI sees it."""
router = APIRouter(tags=["predictions"], route_class=StrictRoute)


@router.post("/predict", response_model=Forecast, responses=problems(*_BODY, 404, 500, 503, 504))
@router.post("/predict/", include_in_schema=False)
async def predict(wanted: PredictRequest, request: Request) -> Any:
    """Forecast two clubs now. `competition` and `kick_off` default to the pair's next fixture."""
    return await _forecast(request, [_fixture(request.app.state.catalogue, wanted)])


@router.post("/predict/batch", response_model=BatchResponse, responses=problems(*_BODY, 404, 500, 503, 504))
@router.post("/predict/batch/", include_in_schema=False)
async def predict_batch(wanted: BatchRequest, request: Request) -> Any:
    """Forecast up to 1,000 matches by one task. An item that cannot be forecast has an error instead.

    A body that has not the form described here is refused as a whole.
    """
    fixtures: list[Fixture] = []
    refused: dict[int, TouchlineError] = {}
    for index, match in enumerate(wanted.matches):
        try:
            fixtures.append(_fixture(request.app.state.catalogue, match))
        except BadField as error:
            refused[index] = error
    return await _forecasts(request, fixtures, refused)


@router.post("/predict/async/", status_code=202, response_model=TaskAccepted, responses=problems(*_BODY, 404, 503))
@router.post("/predict/async", status_code=202, include_in_schema=False)
async def predict_async(
    wanted: PredictRequest,
    catalogue: CatalogueDep,
    desk: DeskDep,
    request: Request,
    principal: Principal,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Any:
    """Queue a forecast; its task's status tells when it is there. The same Idempotency-Key gives the same task."""
    fixture, caller = _fixture(catalogue, wanted), _caller(request)
    if idempotency_key is None:
        task_id = await desk.submit(fixture, caller, PREDICT)
        return OrjsonResponse({"task_id": task_id, "status": "queued"}, 202)
    key = f"touchline:idempotency:{_digest(principal or '', idempotency_key)}"
    task_id, body = desk.results.new_task_id(), _digest(wanted.model_dump_json())
    earlier = await desk.results.claim(key, f"{task_id} {body}")
    if earlier is not None:
        task_id, known, *taken = earlier.split(" ")
        if known != body:
            raise BadField("this Idempotency-Key was used for another request", "Idempotency-Key")
        if taken:
            return OrjsonResponse({"task_id": task_id, "status": "queued"}, 202)
    # A claim that nobody completed may stand for a task that never reached the queue. Under the same id it can safely
    # be put there again: a result is kept once.
    await desk.submit(fixture, caller, PREDICT, task_id)
    await desk.results.complete(key, f"{task_id} {body} taken")
    return OrjsonResponse({"task_id": task_id, "status": "queued"}, 202)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@router.get("/predict/{match_id}", response_model=PublishedForecast, responses=problems(401, 404, 422))
@router.get("/predict/{match_id}/", include_in_schema=False)
async def published_forecast(match_id: MatchId, catalogue: CatalogueDep) -> Any:
    """The forecast that was published for a match, with what happened if it is settled."""
    found = serialize_forecast(catalogue, match_id)
    if found is None:
        raise not_published_error(catalogue, match_id)
    return OrjsonResponse(found)
