"""What API and worker say to each other: matches and forecasts as columns, which cost less at every hop than documents.

The worker is told no more than it computes with, and tells no more than it computed: the API, which has the fixtures,
makes the documents. Only a task that nobody waits for is stored as the document that its caller will ask for.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from operator import attrgetter
from typing import Any, TypedDict

import numpy as np
import orjson
from numpy.typing import NDArray

MOST_MATCHES = 1000
"""In one batch."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOLD = ("match_id", "competition", "season", "kick_off", "home_team", "away_team")
_NONE = int(np.datetime64("NaT", "us").astype(np.int64))
_MICROSECOND = timedelta(microseconds=1)
_RECORD = np.dtype([("match", "<u8"), ("home", "<u4"), ("away", "<u4"), ("neutral", "?"), ("kick_off", "<M8[us]")])
_NUMBERS = _RECORD.names or ()


class _Clubs(dict[tuple[str, str], int]):
    """Numbers of (competition, club) in this process: a fixture keeps those of its clubs, so that no slate looks its
    thousand clubs up by name. They are as many as the clubs that were ever asked for."""

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []

    def __missing__(self, club: tuple[str, str]) -> int:
        self[club] = number = len(self.names)
        self.names.append(club)
        return number


_CLUBS = _Clubs()


def key(match_id: str) -> int:
    """Eight bytes by which API and worker find the same match: ids are most of the length of a task that has them."""
    return int.from_bytes(blake2b(match_id.encode(), digest_size=8).digest(), "little")


def iso(moment: datetime) -> str:
    """A moment as answers have it: ISO 8601, Z for UTC."""
    return moment.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Fixture:
    """One match to forecast; what is derived from it is kept, since the same fixtures are asked for again and again."""

    match_id: str
    competition: str
    season: str
    kick_off: str | None
    """ISO 8601 with a time zone."""
    home_team: str
    """Canonical, like the other."""
    away_team: str
    neutral: bool
    listed: bool = True
    """Whether the lake has this match: nobody has odds of one that has not."""

    def columns(self) -> dict[str, Any]:
        """As a task of its own has it. Such a task outlives upgrades: what is added here needs a default."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def read(cls, columns: Mapping[str, Any]) -> Fixture:
        """From a task, without what another version may have added."""
        return cls(**{field.name: columns[field.name] for field in fields(cls) if field.name in columns})

    @cached_property
    def opening(self) -> bytes:
        """The JSON of a forecast of this match, as far as it is the same for every forecast."""
        text = orjson.dumps({name: getattr(self, name) for name in _TOLD})
        return text[:-1] + b',"probabilities":{"home":'

    @cached_property
    def record(self) -> bytes:
        """This match in the columns of a slate that are numbers, its clubs by their place in `_CLUBS`."""
        home, away = (_CLUBS[self.competition, club] for club in (self.home_team, self.away_team))
        # Counted from 1970, because the first and last moments that can be written have no like in UTC.
        since = _NONE if self.kick_off is None else (datetime.fromisoformat(self.kick_off) - _EPOCH) // _MICROSECOND
        match = key(self.match_id) if self.listed else 0
        return np.array((match, home, away, self.neutral, since), _RECORD).tobytes()


@dataclass(frozen=True, eq=False)
class Slate:
    """Matches to forecast, one an entry of each column of length n."""

    match: NDArray[np.uint64]
    """The `key` of its match_id; 0 for one that the lake does not have."""
    clubs: Sequence[tuple[str, str]]
    """(competition, club)."""
    home: NDArray[np.uint32]
    """Places in `clubs`, like `away`."""
    away: NDArray[np.uint32]
    neutral: NDArray[np.bool_]
    """True where neither club is at home."""
    kick_off: NDArray[np.datetime64]
    """In UTC without zone, NaT where there is none."""

    def __len__(self) -> int:
        return len(self.home)

    def document(self) -> dict[str, Any]:
        """As a task has it: columns of numbers are base64 of little-endian bytes, which nobody has to parse."""
        numbers = {name: b64encode(getattr(self, name).tobytes()).decode() for name in _NUMBERS}
        return {"matches": len(self), "clubs": self.clubs, **numbers}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Slate:
        """From a task."""
        numbers = {name: np.frombuffer(b64decode(document[name]), _RECORD[name]) for name in _NUMBERS}
        return cls(clubs=[(where, name) for where, name in document["clubs"]], **numbers)


Errors = list[tuple[int, dict[str, Any]]]
"""Places of matches, in order, and why there is no forecast of each, as tasks store errors."""


class Forecasts(TypedDict):
    """Answers to a slate; what stands in the place of a match that has an error means nothing."""

    model: dict[str, Any]
    probabilities: str
    """Home, draw and away of each match as JSON writes numbers, separated by commas: they go into documents unread."""
    kinds: list[tuple[str, str]]
    """(predicted_outcome, features_as_of)."""
    kind: list[int]
    """Places in `kinds`, one a match."""
    errors: Errors


def slate(fixtures: Sequence[Fixture]) -> Slate:
    """The columns of fixtures."""
    records = np.frombuffer(b"".join(map(attrgetter("record"), fixtures)), _RECORD)
    used = np.zeros(len(_CLUBS.names), bool)
    used[records["home"]] = used[records["away"]] = True
    place = np.cumsum(used, dtype=np.uint32) - 1
    return Slate(
        records["match"],
        [_CLUBS.names[number] for number in np.flatnonzero(used).tolist()],
        place[records["home"]],
        place[records["away"]],
        records["neutral"],
        records["kick_off"],
    )


def joined(slates: Sequence[Slate]) -> Slate:
    """Slates one after another as one."""
    if len(slates) == 1:
        return slates[0]
    first = np.cumsum([0, *(len(one.clubs) for one in slates[:-1])], dtype=np.uint32)
    return Slate(
        np.concatenate([one.match for one in slates]),
        [club for one in slates for club in one.clubs],
        np.concatenate([one.home + place for one, place in zip(slates, first, strict=True)]),
        np.concatenate([one.away + place for one, place in zip(slates, first, strict=True)]),
        np.concatenate([one.neutral for one in slates]),
        np.concatenate([one.kick_off for one in slates]),
    )


def shares(errors: Errors, counts: Sequence[int]) -> Iterator[tuple[slice, slice, Errors]]:
    """What of the answers to `joined` slates is each one's own: the rows, their probabilities, its errors.

    `counts` are the matches of each slate, `errors` those of all, in the order of their places.
    """
    places = [place for place, _ in errors]
    first = 0
    for count in counts:
        last = first + count
        own = errors[bisect_left(places, first) : bisect_left(places, last)]
        yield slice(first, last), slice(3 * first, 3 * last), [(place - first, error) for place, error in own]
        first = last


def parted(forecasts: Forecasts, counts: Sequence[int]) -> Iterator[Forecasts]:
    """The answers to `joined` slates, for each slate its own; `counts` are the matches of each."""
    if len(counts) == 1:
        yield forecasts
        return
    probabilities = forecasts["probabilities"].split(",")
    for rows, numbers, errors in shares(forecasts["errors"], counts):
        kinds = {kind: place for place, kind in enumerate(dict.fromkeys(forecasts["kind"][rows]))}
        yield {
            "model": forecasts["model"],
            "probabilities": ",".join(probabilities[numbers]),
            "kinds": [forecasts["kinds"][kind] for kind in kinds],
            "kind": [kinds[kind] for kind in forecasts["kind"][rows]],
            "errors": errors,
        }
