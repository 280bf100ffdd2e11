"""Bodies that say nothing new: pairs of clubs that were asked for before are known to be valid.

Validating a request costs more than all the rest that the API does for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response

from serving.catalogue import Catalogue
from serving.parameters import StrictRoute
from serving.slates import Fixture


def shortcut(
    matches: Callable[[Any], Any], answer: Callable[[Request, list[Fixture]], Awaitable[Response]]
) -> type[StrictRoute]:
    """Routes that `answer` requests for known pairs at once, and leave all others to FastAPI.

    `matches` finds the pairs in a body that was read as JSON: a list, or None or a KeyError, TypeError or ValueError
    where it is something else.
    """

    class Shortcut(StrictRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def quick(request: Request) -> Response:
                if request.headers.get("content-type") == "application/json" and not request.scope["query_string"]:
                    fixtures = _remembered(request.app.state.catalogue, matches, await request.body())
                    if fixtures is not None:
                        return await answer(request, fixtures)
                return await handle(request)

            return quick

    return Shortcut


def _remembered(catalogue: Catalogue, matches: Callable[[Any], Any], body: bytes) -> list[Fixture] | None:
    try:
        return catalogue.remembered(matches(orjson.loads(body)))
    except (AttributeError, KeyError, TypeError, ValueError):  # orjson's error is one of the last
        return None
