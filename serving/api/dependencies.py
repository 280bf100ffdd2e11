"""Dependencies of the endpoints. They are `async` because FastAPI would run plain functions in a thread."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, Path, Request
from prometheus_client import CollectorRegistry
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from features.errors import InvalidInputError
from features.io.store import Lake
from features.matches import parse_match_id
from serving.api.catalogue.catalogue import Catalogue
from serving.api.dispatch.dispatcher import Dispatcher
from serving.api.dispatch.requests import ClientRequest
from serving.api.draining import DrainState
from serving.api.middleware import route_of


async def catalogue(request: Request) -> Catalogue:
    """Return the API's view of the lake."""
    return cast(Catalogue, request.app.state.catalogue)


async def dispatcher(request: Request) -> Dispatcher:
    """Return the dispatcher of prediction requests."""
    return cast(Dispatcher, request.app.state.dispatcher)


async def drain_state(request: Request) -> DrainState:
    """Return whether this process is draining."""
    return cast(DrainState, request.app.state.draining)


async def lake(request: Request) -> Lake:
    """Return the lake, for endpoints that read its files."""
    return (await catalogue(request)).lake


async def metrics_registry(request: Request) -> CollectorRegistry:
    """Return the Prometheus collectors of the API."""
    return cast(CollectorRegistry, request.app.state.metrics)


async def request_id(request: Request) -> str:
    """Return the id of the request."""
    return cast(str, request.scope["request_id"])


async def principal(request: Request) -> str | None:
    """Return the owner of the request's API key; None if the API needs no keys."""
    return cast("str | None", request.scope.get("principal"))


async def keys_required(request: Request) -> bool:
    """Return whether the API requires keys."""
    return request.app.state.keys is not None


def _check_match_id(text: str) -> str:
    try:
        parse_match_id(text)
    except InvalidInputError as error:
        raise PydanticCustomError("match_id", "{reason}", {"reason": str(error)}) from error
    return text


async def client_request(request: Request) -> ClientRequest:
    """Return the context of the request that the dispatcher needs."""
    return ClientRequest(route_of(request.scope) or "", request.scope["request_id"], request.is_disconnected)


MatchId = Annotated[
    str,
    Path(max_length=200, examples=["eng-premier-league-2025-26-arsenal-chelsea"]),
    AfterValidator(_check_match_id),
]
CatalogueDep = Annotated[Catalogue, Depends(catalogue)]
DispatcherDep = Annotated[Dispatcher, Depends(dispatcher)]
DrainStateDep = Annotated[DrainState, Depends(drain_state)]
LakeDep = Annotated[Lake, Depends(lake)]
MetricsDep = Annotated[CollectorRegistry, Depends(metrics_registry)]
ClientRequestDep = Annotated[ClientRequest, Depends(client_request)]
KeysRequired = Annotated[bool, Depends(keys_required)]
Principal = Annotated[str | None, Depends(principal)]
RequestId = Annotated[str, Depends(request_id)]

_DESCRIPTIONS = {
    400: "Malformed HTTP request.",
    401: "The API key is missing or unknown.",
    403: "A web page of an origin that is not allowed sent the request.",
    404: "Not found.",
    408: "The headers or the body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not JSON by its Content-Type, or is compressed.",
    422: "Invalid request; the problem document names the fields and suggests known values.",
    431: "The headers are too large or too many.",
    500: "The task failed, or an unexpected error occurred.",
    503: "A dependency of the service is down or overloaded; retry after Retry-After seconds.",
    504: "No worker answered in time; the task was cancelled.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Build the OpenAPI responses of an endpoint's problem documents."""
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
