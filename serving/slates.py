"""What API and worker say to each other: matches and forecasts as columns, which cost less at every hop than documents.

The worker is told no more than it computes with, and tells no more than it computed: the API, which has the fixtures,
makes the documents. Only a task that nobody waits for is stored as the document that its caller will ask for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from typing import Any, Literal, TypedDict

import numpy as np
import orjson
from numpy.typing import NDArray

MOST_MATCHES = 1000
"""In one batch."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SIDES: tuple[Literal["home", "draw", "away"], ...] = ("home", "draw", "away")
_TOLD = ("match_id", "competition", "season", "kick_off", "home_team", "away_team")
_NONE = int(np.datetime64("NaT", "us").astype(np.int64))


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
    def home(self) -> tuple[str, str]:
        """(competition, club)."""
        return self.competition, self.home_team

    @cached_property
    def away(self) -> tuple[str, str]:
        """(competition, club)."""
        return self.competition, self.away_team

    @cached_property
    def microseconds(self) -> int | None:
        """Kick-off since 1970; counted, because the first and last moments that can be written have no like in UTC."""
        if self.kick_off is None:
            return None
        return (datetime.fromisoformat(self.kick_off) - _EPOCH) // timedelta(microseconds=1)


class Slate(TypedDict):
    """Matches to forecast, one an entry of `home`, `away` and `kick_off`."""

    match_ids: str
    """A line each; empty for a match that the lake does not have."""
    clubs: list[tuple[str, str]]
    """(competition, club)."""
    home: list[int]
    """Places in `clubs`, like `away`."""
    away: list[int]
    neutral: list[int]
    """Places of the matches in which neither club is at home."""
    kick_off: list[int | None]
    """In microseconds since 1970."""


class Forecasts(TypedDict):
    """Answers to a slate; what stands in the place of a match that has an error means nothing."""

    model: dict[str, Any]
    home: str
    """Probabilities as JSON writes numbers, separated by commas: they go into documents without being read."""
    draw: str
    away: str
    kinds: list[tuple[str, str]]
    """(predicted_outcome, features_as_of)."""
    kind: list[int]
    """Places in `kinds`, one a match."""
    errors: list[tuple[int, dict[str, Any]]]
    """Place of a match and why there is no forecast of it, as tasks store errors."""


def slate(fixtures: Sequence[Fixture]) -> Slate:
    """The columns of fixtures."""
    clubs: defaultdict[tuple[str, str], int] = defaultdict(count().__next__)
    home, away = [clubs[one.home] for one in fixtures], [clubs[one.away] for one in fixtures]
    return {
        "match_ids": "\n".join([one.match_id if one.listed else "" for one in fixtures]),
        "clubs": list(clubs),
        "home": home,
        "away": away,
        "neutral": [place for place, one in enumerate(fixtures) if one.neutral],
        "kick_off": [one.microseconds for one in fixtures],
    }


def match_ids(slate: Slate) -> list[str]:
    """The id of each match (n,)."""
    return slate["match_ids"].split("\n") if slate["home"] else []


def kick_offs(slate: Slate) -> NDArray[np.datetime64]:
    """Kick-offs (n,) in UTC without zone, NaT where there is none."""
    return np.array([_NONE if one is None else one for one in slate["kick_off"]], np.int64).view("datetime64[us]")


def neutral(slate: Slate) -> NDArray[np.bool_]:
    """(n,) True where neither club is at home."""
    out = np.zeros(len(slate["home"]), bool)
    out[slate["neutral"]] = True
    return out


def joined(slates: Sequence[Slate]) -> Slate:
    """Slates one after another as one."""
    if len(slates) == 1:
        return slates[0]
    whole: Slate = {"match_ids": "", "clubs": [], "home": [], "away": [], "neutral": [], "kick_off": []}
    for one in slates:
        match, club = len(whole["home"]), len(whole["clubs"])
        whole["clubs"] += one["clubs"]
        whole["home"] += [club + place for place in one["home"]]
        whole["away"] += [club + place for place in one["away"]]
        whole["neutral"] += [match + place for place in one["neutral"]]
        whole["kick_off"] += one["kick_off"]
    whole["match_ids"] = "\n".join(one["match_ids"] for one in slates if one["home"])
    return whole


def parted(forecasts: Forecasts, counts: Sequence[int]) -> Iterator[Forecasts]:
    """The answers to `joined` slates, for each slate its own; `counts` are the matches of each."""
    if len(counts) == 1:
        yield forecasts
        return
    home, draw, away = (forecasts[side].split(",") for side in SIDES)
    first = 0
    for one in counts:
        rows = slice(first, first + one)
        kinds = {kind: place for place, kind in enumerate(dict.fromkeys(forecasts["kind"][rows]))}
        yield {
            "model": forecasts["model"],
            "home": ",".join(home[rows]),
            "draw": ",".join(draw[rows]),
            "away": ",".join(away[rows]),
            "kinds": [forecasts["kinds"][kind] for kind in kinds],
            "kind": [kinds[kind] for kind in forecasts["kind"][rows]],
            "errors": [(place - first, error) for place, error in forecasts["errors"] if first <= place < rows.stop],
        }
        first = rows.stop
