"""Timestamps of requests and responses: always in UTC, written with Z."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime
from pydantic_core import PydanticCustomError


def in_utc(timestamp: datetime) -> datetime:
    """Convert to UTC; a timestamp without a time zone is in UTC. The error of a year out of range is pydantic's."""
    if timestamp.tzinfo is None:
        return timestamp.replace(tzinfo=UTC)
    try:
        return timestamp.astimezone(UTC)
    except OverflowError as error:
        raise PydanticCustomError("timestamp_range", "the timestamp is outside the years 1 to 9999 in UTC") from error


UtcDatetime = Annotated[datetime, AfterValidator(in_utc)]
"""A timestamp of a response."""
RequestedDatetime = Annotated[AwareDatetime, AfterValidator(in_utc)]
"""A timestamp of a request, which must have a time zone."""
