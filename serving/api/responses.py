"""JSON responses encoded by orjson."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response


class OrjsonResponse(Response):
    """A JSON response of plain values in the documented shape, or of bytes that are JSON already.

    FastAPI does not check or convert its content, which saves the busiest endpoints that time; tests validate their
    responses against the schemas.
    """

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return (
            content
            if isinstance(content, bytes)
            else orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC)
        )
