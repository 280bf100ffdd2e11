"""Tables of the lake as what the API keeps of them: matches, clubs, and the meetings that two names stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from features.errors import CorruptArtefactError
from features.matches import SCHEMA
from serving.api.catalogue.match_index import MatchRow


def _schema(**types: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


_TEXT, _WHOLE, _REAL, _MOMENT = pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", tz="UTC")
# What the API tells of each row. `features.forecasts` has the whole schema, and imports scikit-learn.
FORECAST = _schema(
    match_id=_TEXT,
    competition=_TEXT,
    season=_TEXT,
    kick_off=_MOMENT,
    home_team=_TEXT,
    away_team=_TEXT,
    home=_REAL,
    draw=_REAL,
    away=_REAL,
    predicted_outcome=_TEXT,
    model_version=_WHOLE,
    trained_through=_MOMENT,
    features_as_of=_MOMENT,
    published_at=_MOMENT,
)
SETTLED = _schema(
    match_id=_TEXT,
    competition=_TEXT,
    season=_TEXT,
    home_team=_TEXT,
    away_team=_TEXT,
    home_goals=_WHOLE,
    away_goals=_WHOLE,
    outcome=_WHOLE,
    rps=_REAL,
    log_loss=_REAL,
    brier=_REAL,
)


MATCHES = pa.schema([field for field in SCHEMA if field.name in MatchRow._fields and not field.nullable])


class Meeting(NamedTuple):
    """The match that is meant when two clubs are named; without a kick-off where none is agreed that can still come."""

    match_id: str
    season: str
    kick_off: datetime | None
    neutral: bool


class Club(NamedTuple):
    """A club with a state, so one that can be forecast."""

    name: str
    competition: str
    season: str
    elo: float
    played: int
    features_as_of: datetime | None


def made(make: Callable[[pd.DataFrame], Any], table: pd.DataFrame, schema: pa.Schema) -> Any:
    """The rows of a table; raises CorruptArtefactError where another version wrote what today's cannot use."""
    if gaps := [field.name for field in schema if not field.nullable and table[field.name].isna().any()]:
        raise CorruptArtefactError(f"{gaps} have gaps: it was written by another version")
    try:
        return make(table)
    except (AttributeError, TypeError, ValueError) as error:
        raise CorruptArtefactError(f"it was written by another version: {error}") from error


def match_rows(table: pd.DataFrame) -> list[MatchRow]:
    """Matches of a competition."""
    columns = [_values(table, name) for name in MatchRow._fields]
    return [MatchRow(*row) for row in zip(*columns, strict=True)]


def _values(table: pd.DataFrame, name: str) -> list[Any]:
    column = table[name] if name in table else pd.Series([None] * len(table))
    if name in {"matchday", "home_goals", "away_goals"}:
        return [None if pd.isna(value) else int(value) for value in column]
    if name == "kick_off":
        return [value.to_pydatetime() for value in column]
    return column.tolist()


def clubs_of(table: pd.DataFrame) -> list[Club]:
    """Clubs of a competition's table of states."""
    columns = zip(
        table["team"],
        table["competition"],
        table["season"],
        table["elo"],
        table["played"],
        table["features_as_of"],
        strict=True,
    )
    return [
        Club(team, slug, season, float(elo), int(played), None if pd.isna(as_of) else as_of.to_pydatetime())
        for team, slug, season, elo, played, as_of in columns
    ]


def next_meetings(
    matches: Iterable[MatchRow], clubs: Mapping[str, Mapping[str, Club]]
) -> dict[tuple[str, str, str], Meeting]:
    """Of each pair the first fixture after all that its clubs' states know; else one that still has to find its date.

    A fixture of an earlier season that was never played is not waited for any more.
    """
    found: dict[tuple[str, str, str], Meeting] = {}
    for row in matches:
        if row.status == "played":
            continue
        there = clubs.get(row.competition, {})
        pair = [there[name.casefold()] for name in (row.home_team, row.away_team) if name.casefold() in there]
        due = row.status == "scheduled" and all(
            club.features_as_of is None or row.kick_off > club.features_as_of for club in pair
        )
        if not due and any(row.season < club.season for club in pair):
            continue
        key = row.competition, row.home_team, row.away_team
        known = found.get(key)
        if known is None or (due and known.kick_off is None):
            found[key] = Meeting(row.match_id, row.season, row.kick_off if due else None, row.neutral)
    return found
