"""Query parameters that an endpoint does not have are refused: a misspelt filter would answer another question."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from features.teams import suggest
from serving.errors import BadField


class StrictRoute(APIRoute):
    """A route that takes the query parameters it names and no others."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler behind the check."""
        handle, known = super().get_route_handler(), sorted(_names(self.dependant))

        async def checked(request: Request) -> Response:
            if request.scope["query_string"]:
                check(request.query_params.keys(), known)
            return await handle(request)

        return checked


def check(given: Any, known: list[str]) -> None:
    """Raises BadField for the first name that is not known, with those nearest to it."""
    for name in given:
        if name not in known:
            here = f"; there are {', '.join(known)}" if known else ": none is taken here"
            raise BadField(f"there is no query parameter {name[:100]!r}{here}", name[:100], suggest(name, known))


def _names(dependant: Dependant) -> set[str]:
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_names(one) for one in dependant.dependencies))
