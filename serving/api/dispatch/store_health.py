"""Judges what a Redis or Valkey says about itself: whether it takes results, and whether it keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from redis import RedisError, ResponseError

PROBE_KEY = "touchline:probe"
"""Written every second, because a store that is full or a replica still answers everything else."""
PROBE_TTL_SECONDS = 60
EPOCH_KEY = "touchline:epoch"
"""Written once, for as long as the store keeps its data, with the time of the last loss that an API has seen."""


def describe(name: str, error: Exception) -> str:
    """One sentence about an error of the client library, with what to do about it if that is known."""
    text = str(error) or type(error).__name__
    if not isinstance(error, ResponseError):
        return f"{name} cannot be reached: {text}"
    if "used memory > 'maxmemory'" in text:  # also within the text about a pipeline
        return f"{name} is full: it has reached its maxmemory; give it more memory or remove what is not needed"
    if isinstance(error, RedisError) and "read only replica" in text.lower():
        return f"{name} is a read-only replica; the address must be the primary's"
    return f"{name} refuses to work: {text}"


def eviction_warning(memory: Mapping[str, Any]) -> str | None:
    """Why accepted tasks could be lost, by the section `memory` of INFO; None if nothing is evicted."""
    limit, policy = memory.get("maxmemory", 0), memory.get("maxmemory_policy", "noeviction")
    if not limit or policy == "noeviction":
        return None
    return f"it evicts (maxmemory-policy {policy}): accepted tasks can be lost; set maxmemory-policy noeviction"


class StoreEpoch:
    """Notices that the store has lost its data, such as by FLUSHALL or a restart without a disk.

    A random text is kept in the store, with the time of the last loss; 0 if there was none.
    """

    def __init__(self) -> None:
        self._text = b""
        self.lost_at = 0.0
        """Unix time."""

    def successor(self, now: float) -> bytes:
        """The text to store if there is none."""
        return f"{uuid4()} {now if self._text else 0.0}".encode()

    def update(self, found: bytes | None, successor: bytes) -> bool:
        """Take over the text of the store; None if it had none and has the successor now.

        True if it is another process's that has not noticed a loss, and is to be replaced by the successor.
        """
        text = successor if found is None else found
        overlooked = bool(self._text) and text != self._text and _time_of(text) == 0
        self._text = successor if overlooked else text
        self.lost_at = _time_of(self._text)
        return overlooked


def _time_of(text: bytes) -> float:
    try:
        return float(text.split(b" ")[1])
    except (IndexError, ValueError):  # anything may be in the store
        return 0.0
