"""What endpoints ask for. All of it is `async`: FastAPI would send each plain function through a thread."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, Path, Request
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from features.errors import InvalidInputError
from features.io.store import Lake
from features.matches import parse_match_id
from serving.api.catalogue.catalogue import Catalogue
from serving.api.dispatch.dispatcher import Desk
from serving.settings import ServingSettings


async def catalogue(request: Request) -> Catalogue:
    """The API's view of the lake."""
    return cast(Catalogue, request.app.state.catalogue)


async def desk(request: Request) -> Desk:
    """Where tasks are put and results awaited."""
    return cast(Desk, request.app.state.desk)


async def lake(request: Request) -> Lake:
    """The lake itself, for documents."""
    return (await catalogue(request)).lake


async def request_id(request: Request) -> str:
    """The id that the answer, the log and the task bear."""
    return cast(str, request.scope["request_id"])


async def principal(request: Request) -> str | None:
    """Whose API key the request bears; None where keys are not asked for."""
    return cast("str | None", request.scope.get("principal"))


async def settings(request: Request) -> ServingSettings:
    """The process's settings."""
    return cast(ServingSettings, request.app.state.settings)


def _of_a_match(text: str) -> str:
    try:
        parse_match_id(text)
    except InvalidInputError as error:
        raise PydanticCustomError("match_id", "{reason}", {"reason": str(error)}) from error
    return text


MatchId = Annotated[
    str,
    Path(max_length=200, examples=["eng-premier-league-2025-26-arsenal-chelsea"]),
    AfterValidator(_of_a_match),
]
CatalogueDep = Annotated[Catalogue, Depends(catalogue)]
DeskDep = Annotated[Desk, Depends(desk)]
LakeDep = Annotated[Lake, Depends(lake)]
Principal = Annotated[str | None, Depends(principal)]
RequestId = Annotated[str, Depends(request_id)]
SettingsDep = Annotated[ServingSettings, Depends(settings)]

_MEANING = {
    400: "The bytes that came are no HTTP request.",
    401: "The API key is missing or unknown.",
    404: "There is no such thing.",
    408: "The headers or the body did not arrive in time.",
    413: "The body is too large.",
    422: "The request cannot be used; the problem names the field and the nearest known values.",
    431: "The headers are too large, or too many.",
    500: "The task was given up, or something failed that should not.",
    503: "A part of the service is away or overloaded; try again after Retry-After seconds.",
    504: "No worker answered in time; the task was revoked.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI of the problem documents that an endpoint may answer with."""
    return {
        status: {
            "description": _MEANING[status],
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
