"""One match to forecast, as the API passes it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import orjson

from serving.errors import MalformedMessageError
from serving.wire.limits import MAX_CLUB_NAME_LENGTH

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FORECAST_FIELDS = ("match_id", "competition", "season", "kick_off", "home_team", "away_team")
_NO_KICK_OFF = int(np.datetime64("NaT", "us").astype(np.int64))
FIXTURE_DTYPE = np.dtype(
    [("match", "<u8"), ("home", "<u4"), ("away", "<u4"), ("neutral", "?"), ("kick_off", "<M8[us]")]
)


class _ClubIds(dict[tuple[str, str], int]):
    """Numbers of (competition, club), valid within this process. Every club that was ever requested keeps its number.

    Each fixture keeps the numbers of its clubs, so putting a batch of 1,000 into columns takes 140 microseconds. With
    one dictionary per batch, and two look-ups per match, it takes 350.
    """

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []

    def __missing__(self, club: tuple[str, str]) -> int:
        self[club] = number = len(self.names)
        self.names.append(club)
        return number


CLUB_IDS = _ClubIds()


def match_key(match_id: str) -> int:
    """The 8-byte hash by which API and worker identify a match. Full ids would take up most of a task."""
    return int.from_bytes(blake2b(match_id.encode(), digest_size=8).digest(), "little")


def to_iso_utc(timestamp: datetime) -> str:
    """A timestamp in the format of responses: ISO 8601 in UTC, with Z."""
    return timestamp.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Fixture:
    """One match to forecast. Derived values are cached, since the same fixtures are requested again and again."""

    match_id: str
    competition: str
    season: str
    kick_off: str | None
    """ISO 8601 with a time zone."""
    home_team: str
    """Canonical name, like `away_team`."""
    away_team: str
    neutral: bool
    in_lake: bool = True
    """Whether the lake has this match. Without it there are no odds."""
    listed_kick_off: str | None = None
    """The kick-off that the lake has, if the caller named another; like `kick_off`."""

    def to_wire(self) -> dict[str, Any]:
        """The argument of task `PREDICT_ASYNC`. A task may outlive an upgrade, so every new field needs a default."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_wire(cls, arguments: Mapping[str, Any]) -> Fixture:
        """Read the argument of task `PREDICT_ASYNC`, without fields that another release may have added.

        Raises MalformedMessageError, which names the wrong field.
        """
        known = {field.name: arguments[field.name] for field in fields(cls) if field.name in arguments}
        known = {"in_lake": arguments.get("listed", True), **known}  # named `listed` up to version 0.1
        try:
            fixture = msgspec.convert(known, cls)
            if max(map(len, (fixture.competition, fixture.home_team, fixture.away_team))) > MAX_CLUB_NAME_LENGTH:
                raise ValueError(f"a name has more than {MAX_CLUB_NAME_LENGTH} characters")
            if fixture.kick_off is not None and datetime.fromisoformat(fixture.kick_off).tzinfo is None:
                raise ValueError("kick_off has no time zone")
            fixture.match_id.encode(), fixture.packed
        except (msgspec.ValidationError, ValueError, OverflowError) as error:
            raise MalformedMessageError(f"argument: {error}") from error
        return fixture

    @cached_property
    def json_prefix(self) -> bytes:
        """The part of a forecast's JSON that is the same for every forecast of this match."""
        values = {name: getattr(self, name) for name in _FORECAST_FIELDS}
        if self.listed_kick_off is not None:
            values["listed_kick_off"] = self.listed_kick_off
        text = orjson.dumps(values)
        return text[:-1] + b',"probabilities":{"home":'

    @cached_property
    def packed(self) -> bytes:
        """This match as a record of `FIXTURE_DTYPE`, with its clubs as numbers of `CLUB_IDS`."""
        home, away = (CLUB_IDS[self.competition, club] for club in (self.home_team, self.away_team))
        # Microseconds are computed by hand, because Python's first and last timestamps cannot be converted to UTC.
        micros = _NO_KICK_OFF
        if self.kick_off is not None:
            micros = (datetime.fromisoformat(self.kick_off) - _EPOCH) // _MICROSECOND
        match = match_key(self.match_id) if self.in_lake else 0
        return np.array((match, home, away, self.neutral, micros), FIXTURE_DTYPE).tobytes()
