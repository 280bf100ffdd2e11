"""The status that the main process of each worker reports to the result store, and the identity of a Redis broker."""

from __future__ import annotations

from typing import Annotated

import msgspec

CONSUMER_REGISTRY_KEY = "touchline:consumers"
"""Hash of `ConsumerStatus` documents by worker name."""
CONSUMER_TTL_SECONDS = 10.0
"""A worker that has not reported for this long counts as gone."""
BROKER_ID_KEY = "touchline:broker-id"
"""A random text in the broker's database, by which API and worker see that they use the same one."""


class ConsumerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The status of a main process. Times are of the result store's clock."""

    name: Annotated[str, msgspec.Meta(max_length=255)]
    seen_at: float
    """Unix time."""
    is_consuming: bool
    """Whether it takes messages from the queue."""
    held: int
    """Messages that it has taken and not finished."""
    stalled_seconds: float
    """Time since it last finished one, while it holds some."""
    is_ready: bool
    broker_id: str | None = None
    clock_skew_seconds: float = 0.0
    """How far its clock is ahead of the result store's."""


encode_consumer_status = msgspec.json.Encoder().encode
decode_consumer_status = msgspec.json.Decoder(ConsumerStatus).decode
