"""HEAD: the response to GET without its body, on every path (RFC 9110, 9.3.2)."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadMiddleware:
    """Has HEAD requests answered as GET; uvicorn leaves out the body, and keeps its length.

    FastAPI does not answer HEAD by itself, and a second method of its routes would be in the OpenAPI document.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        get = {**scope, "method": "GET"}
        try:
            await self._app(get, receive, send)
        finally:
            scope["route"] = get.get("route")  # for metrics and spans
