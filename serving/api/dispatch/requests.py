"""A client's request for forecasts, on its way through the dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from serving.wire.fixtures import Fixture
from serving.wire.forecast_json import EncodedForecasts


@dataclass(frozen=True)
class ClientRequest:
    """The HTTP request behind a prediction."""

    route: str
    """Template of the route, a label of the metrics."""
    request_id: str
    is_disconnected: Callable[[], Awaitable[bool]]


@dataclass(eq=False)
class PendingRequest:
    """One request that waits for its forecasts."""

    fixtures: list[Fixture]
    context: ClientRequest
    trace_context: Mapping[str, str]
    future: asyncio.Future[EncodedForecasts]
    enqueued_at: float
    """A time on the dispatcher's clock."""

    def fail(self, error: Exception) -> bool:
        """End with an error; False if the request has ended already."""
        if self.future.done():
            return False
        self.future.set_exception(error)
        return True
