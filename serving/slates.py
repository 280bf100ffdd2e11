"""What API and worker say to each other: matches and forecasts as columns, which cost less at every hop than documents.

The worker is told no more than it computes with, and tells no more than it computed: the API, which has the fixtures,
makes the documents. Only a task that nobody waits for is stored as the document that its caller will ask for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from features.errors import TouchlineError
from serving.errors import from_task

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NONE = np.datetime64("NaT", "us").astype(np.int64)


class Fixture(TypedDict):
    """One match to forecast: canonical names, kick-off in ISO 8601 or None."""

    match_id: str
    competition: str
    season: str
    kick_off: str | None
    home_team: str
    away_team: str
    neutral: bool


class Slate(TypedDict):
    """Matches to forecast, one an entry of each column; `home` and `away` are places in `clubs`."""

    match_id: list[str]
    clubs: list[tuple[str, str]]
    """(competition, club)."""
    home: list[int]
    away: list[int]
    neutral: list[bool]
    kick_off: list[str | None]


class Forecasts(TypedDict):
    """Answers to a slate, one an entry of each column; what stands beside an error means nothing."""

    model: dict[str, Any]
    home: list[float]
    draw: list[float]
    away: list[float]
    predicted_outcome: list[str]
    features_as_of: list[str]
    errors: list[dict[str, Any] | None]


def slate(fixtures: Sequence[Fixture]) -> Slate:
    """The columns of fixtures."""
    clubs: dict[tuple[str, str], int] = {}
    home = [clubs.setdefault((one["competition"], one["home_team"]), len(clubs)) for one in fixtures]
    away = [clubs.setdefault((one["competition"], one["away_team"]), len(clubs)) for one in fixtures]
    return {
        "match_id": [one["match_id"] for one in fixtures],
        "clubs": list(clubs),
        "home": home,
        "away": away,
        "neutral": [one["neutral"] for one in fixtures],
        "kick_off": [one["kick_off"] for one in fixtures],
    }


def moments(kick_off: Sequence[str | None]) -> NDArray[np.datetime64]:
    """Kick-offs (n,) in UTC without zone, NaT where there is none."""
    return np.array([_NONE if one is None else _microseconds(one) for one in kick_off], np.int64).view("datetime64[us]")


@lru_cache(maxsize=10_000)
def _microseconds(kick_off: str) -> int:
    """Since 1970; counted, because the first and last moments that can be written have no like in UTC."""
    return (datetime.fromisoformat(kick_off) - _EPOCH) // timedelta(microseconds=1)


def joined(slates: Sequence[Slate]) -> Slate:
    """Slates one after another as one."""
    if len(slates) == 1:
        return slates[0]
    whole: Slate = {"match_id": [], "clubs": [], "home": [], "away": [], "neutral": [], "kick_off": []}
    for one in slates:
        first = len(whole["clubs"])
        whole["match_id"] += one["match_id"]
        whole["clubs"] += one["clubs"]
        whole["home"] += [first + club for club in one["home"]]
        whole["away"] += [first + club for club in one["away"]]
        whole["neutral"] += one["neutral"]
        whole["kick_off"] += one["kick_off"]
    return whole


def parted(forecasts: Forecasts, slates: Sequence[Slate]) -> Iterator[Forecasts]:
    """The answers to `joined` slates, for each slate its own."""
    first = 0
    for one in slates:
        rows = slice(first, first + len(one["home"]))
        first = rows.stop
        yield {
            "model": forecasts["model"],
            "home": forecasts["home"][rows],
            "draw": forecasts["draw"][rows],
            "away": forecasts["away"][rows],
            "predicted_outcome": forecasts["predicted_outcome"][rows],
            "features_as_of": forecasts["features_as_of"][rows],
            "errors": forecasts["errors"][rows],
        }


def documents(
    fixtures: Sequence[Fixture], forecasts: Forecasts, first: int = 0
) -> Iterator[dict[str, Any] | TouchlineError]:
    """Forecasts of fixtures as `schemas.Forecast` has them, or why there is none; they begin at place `first`."""
    model = forecasts["model"]
    columns = zip(
        forecasts["home"],
        forecasts["draw"],
        forecasts["away"],
        forecasts["predicted_outcome"],
        forecasts["features_as_of"],
        forecasts["errors"],
        strict=True,
    )
    rows = islice(columns, first, first + len(fixtures))
    for one, (home, draw, away, outcome, as_of, error) in zip(fixtures, rows, strict=True):
        if error:
            yield from_task(error)
            continue
        yield {
            "match_id": one["match_id"],
            "competition": one["competition"],
            "season": one["season"],
            "kick_off": one["kick_off"],
            "home_team": one["home_team"],
            "away_team": one["away_team"],
            "probabilities": {"home": home, "draw": draw, "away": away},
            "predicted_outcome": outcome,
            "model": model,
            "features_as_of": as_of,
        }
