"""JSON answers, written by orjson from plain values."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response


class Json(Response):
    """A JSON response. Endpoints answer with plain values that already have the documented shape, or their JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else orjson.dumps(content, option=orjson.OPT_UTC_Z)
