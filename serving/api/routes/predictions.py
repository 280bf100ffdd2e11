"""Forecasts: on demand (one, a batch, or a task), and published ones."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from fastapi import Header, Request, Response

from features.errors import TouchlineError, UnknownCompetitionError
from serving.api.catalogue.catalogue import Catalogue
from serving.api.catalogue.resolved_fixture_cache import PairRequest
from serving.api.dependencies import CatalogueDep, ClientRequestDep, DispatcherDep, MatchId, Principal, problems
from serving.api.dispatch.dispatcher import Dispatcher
from serving.api.dispatch.requests import ClientRequest
from serving.api.fast_path import FastRoute, PairBatch
from serving.api.problem_details import to_problem
from serving.api.query_params import NoQuery
from serving.api.responses import OrjsonResponse
from serving.api.routes.slash_router import SlashRouter
from serving.api.schemas.forecasts import (
    BatchRequest,
    BatchResponse,
    Forecast,
    PredictRequest,
    PublishedForecast,
    TaskAccepted,
)
from serving.api.serializers import not_published_error, serialize_forecast
from serving.errors import InvalidFieldError, from_wire
from serving.wire import forecast_json
from serving.wire.fixtures import Fixture

_EARLIER = re.compile(r"[0-9a-f-]{36} [0-9a-f]{64}( queued)?")
_BODY = (401, 403, 408, 413, 415, 422)


MAX_ERRORS_WITH_SUGGESTIONS = 20
MATCHES_PER_TURN = 20
"""Matches of a batch whose clubs are found before other requests get their turn: at most 20 ms."""


def _find_fixture(catalogue: Catalogue, match: PredictRequest) -> Fixture:
    return catalogue.resolve_fixture(match.home_team, match.away_team, match.competition, match.kick_off)


async def _answer_single(dispatcher: Dispatcher, context: ClientRequest, fixtures: list[Fixture]) -> OrjsonResponse:
    return OrjsonResponse(await dispatcher.predict(fixtures[0], context))


async def _answer_batch(
    dispatcher: Dispatcher,
    context: ClientRequest,
    fixtures: list[Fixture],
    rejected: Mapping[int, bytes] = MappingProxyType({}),
) -> OrjsonResponse:
    """Answer a batch. `fixtures` are its valid items in order, `rejected` the problems of the others by index."""
    problem_by_index, forecasts = dict(rejected), None
    count = len(fixtures) + len(rejected)
    indices = [index for index in range(count) if index not in rejected] if rejected else range(count)
    if fixtures:
        forecasts = await dispatcher.predict_batch(fixtures, context)
        for number, (place, error) in enumerate(forecasts.errors):
            await _give_turn(number, len(problem_by_index))
            problem_by_index[indices[place]] = _item_problem(
                from_wire(error), context.request_id, len(problem_by_index)
            )
    return OrjsonResponse(forecast_json.encode_batch(indices, fixtures, forecasts, problem_by_index))


async def _give_turn(number: int, problem_count: int) -> None:
    """Let other requests be answered: before every match while similar names are looked up, then at times."""
    if number % MATCHES_PER_TURN == 0 or 0 < problem_count <= MAX_ERRORS_WITH_SUGGESTIONS:
        await asyncio.sleep(0)


def _item_problem(error: TouchlineError, request_id: str, earlier_count: int) -> bytes:
    """Encode the error of a match of a batch. Similar names are looked up for the first errors only."""
    is_among_first = earlier_count < MAX_ERRORS_WITH_SUGGESTIONS
    problem = to_problem(error, request_id, with_suggestions=is_among_first)[0]
    if not is_among_first and isinstance(error, InvalidFieldError | UnknownCompetitionError):
        problem.detail += f"; similar names are given for the first {MAX_ERRORS_WITH_SUGGESTIONS} errors of a batch"
    return problem.model_dump_json().encode()


_FAST_ROUTES = (
    FastRoute("/predict", PairRequest, _answer_single),
    FastRoute("/predict/batch", PairBatch, _answer_batch),
)
FAST_ROUTES = {path: route for route in _FAST_ROUTES for path in (route.path, f"{route.path}/")}
"""Endpoints of the fast path, by request path."""
router = SlashRouter(tags=["predictions"])


@router.post("/predict", response_model=Forecast, responses=problems(*_BODY, 404, 500, 503, 504))
async def predict(
    match: PredictRequest, _: NoQuery, catalogue: CatalogueDep, dispatcher: DispatcherDep, context: ClientRequestDep
) -> OrjsonResponse:
    """Forecast a match now. `competition` and `kick_off` default to those of the clubs' next fixture."""
    return await _answer_single(dispatcher, context, [_find_fixture(catalogue, match)])


@router.post("/predict/batch", response_model=BatchResponse, responses=problems(*_BODY, 404, 500, 503, 504))
async def predict_batch(
    batch: BatchRequest, _: NoQuery, catalogue: CatalogueDep, dispatcher: DispatcherDep, context: ClientRequestDep
) -> OrjsonResponse:
    """Forecast up to 1,000 matches in one request. An item that cannot be forecast has an error instead.

    If the body does not match the schema, the whole request is rejected.
    """
    fixtures: list[Fixture] = []
    rejected: dict[int, bytes] = {}
    for index, match in enumerate(batch.matches):
        await _give_turn(index, len(rejected))
        try:
            fixtures.append(_find_fixture(catalogue, match))
        except (InvalidFieldError, UnknownCompetitionError) as error:
            # Encoded at once: a thousand errors and their tracebacks would be garbage that takes 100 ms to collect.
            rejected[index] = _item_problem(error, context.request_id, len(rejected))
    return await _answer_batch(dispatcher, context, fixtures, rejected)


@router.post("/predict/async/", status_code=202, responses=problems(*_BODY, 404, 503))
async def predict_async(
    request: Request,
    response: Response,
    match: PredictRequest,
    _: NoQuery,
    catalogue: CatalogueDep,
    dispatcher: DispatcherDep,
    context: ClientRequestDep,
    principal: Principal,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> TaskAccepted:
    """Queue a forecast and return its task for polling. Requests with the same Idempotency-Key share one task."""
    fixture = _find_fixture(catalogue, match)
    task_id = await _enqueue(dispatcher, context, fixture, match, principal, idempotency_key)
    response.headers["Location"] = f"{request.scope.get('root_path', '')}/monitoring/task_status/{task_id}"
    return TaskAccepted(task_id=task_id)


async def _enqueue(
    dispatcher: Dispatcher,
    context: ClientRequest,
    fixture: Fixture,
    match: PredictRequest,
    principal: str | None,
    idempotency_key: str | None,
) -> str:
    """Queue a forecast and return the id of its task: the one of an earlier request with the same key, if any."""
    if idempotency_key is None:
        return await dispatcher.enqueue(fixture, context)
    key = f"touchline:idempotency:{_digest(principal or '', idempotency_key)}"
    task_id, body_digest = dispatcher.results.new_task_id(), _digest(match.model_dump_json())
    earlier = await dispatcher.results.set_if_absent(key, f"{task_id} {body_digest}")
    if earlier is not None and _EARLIER.fullmatch(earlier):  # anything else in the store is replaced
        task_id, earlier_digest, *queued = earlier.split(" ")
        if earlier_digest != body_digest:
            raise InvalidFieldError("this Idempotency-Key was used for another request", "Idempotency-Key")
        if queued:
            return task_id
    # The request that set the key may have failed before its task reached the queue. Queueing the task again under the
    # same id is safe: only its first result is kept.
    await dispatcher.enqueue(fixture, context, task_id)
    await dispatcher.results.set(key, f"{task_id} {body_digest} queued")
    return task_id


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@router.get("/predict/{match_id}", response_model=PublishedForecast, responses=problems(401, 404, 422))
async def published_forecast(match_id: MatchId, _: NoQuery, catalogue: CatalogueDep) -> OrjsonResponse:
    """The published forecast of a match, with the result and the scores once it is settled."""
    forecast = serialize_forecast(catalogue, match_id)
    if forecast is None:
        raise not_published_error(catalogue, match_id)
    return OrjsonResponse(forecast)
