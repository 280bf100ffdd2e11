"""Requests for pairs that were asked for before, answered before FastAPI sees them.

To route and validate a request for one match is a third of what the API spends on it, and a batch of 1,000 takes
several times as long to read and validate as it takes to find its matches here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from features.errors import TouchlineError
from serving.api.catalogue.catalogue import Pair
from serving.api.middleware import replayed
from serving.api.problem_details import refusal
from serving.wire.columns import MOST_MATCHES, Fixture


class Pairs(msgspec.Struct, forbid_unknown_fields=True):
    """Those of a batch."""

    matches: Annotated[list[Pair], msgspec.Meta(min_length=1, max_length=MOST_MATCHES)]


@dataclass(frozen=True)
class Way:
    """One endpoint: the path of its route, what its body is read as, and what answers it."""

    path: str
    body: type[Pair | Pairs]
    answer: Callable[[Request, list[Fixture]], Awaitable[Response]]


class Shortcut:
    """Innermost: takes the `ways` where it can, and leaves all other requests to FastAPI."""

    def __init__(self, app: ASGIApp, ways: Mapping[str, Way]) -> None:
        """`ways` by the path that is asked for."""
        self._app = app
        self._ways = {path: (way, msgspec.json.Decoder(way.body).decode) for path, way in ways.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = None
        if scope["type"] == "http" and scope["method"] == "POST":
            found = self._ways.get(scope["path"].removeprefix(scope.get("root_path", "")))
        if found is None or scope["query_string"] or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        way, decode = found
        message = await receive()  # the whole body: see `middleware.Guard`
        try:
            asked = decode(message["body"])
        except (msgspec.DecodeError, UnicodeDecodeError):  # FastAPI says what is wrong
            fixtures = None
        else:
            pairs = asked.matches if isinstance(asked, Pairs) else [asked]
            fixtures = scope["app"].state.catalogue.snapshot.fixtures.find_all(pairs)
        if fixtures is None:
            await self._app(scope, replayed(message, receive), send)
            return
        scope["route"] = way
        request = Request(scope, receive)
        try:
            response = await way.answer(request, fixtures)
        except TouchlineError as error:
            response = await refusal(request, error)
        await response(scope, receive, send)


def _is_json(scope: Scope) -> bool:
    """Whether the body is said to be JSON, in the plain way: FastAPI knows all others."""
    return next((value for name, value in scope["headers"] if name == b"content-type"), None) == b"application/json"
