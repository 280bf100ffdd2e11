"""Builds the rows that the API keeps in memory from tables: matches, clubs, the next fixture of each pair of clubs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from features.errors import CorruptArtefactError, TouchlineError
from features.forecast_schemas import FORECASTS, SCORES
from features.matches import SCHEMA
from serving.api.catalogue.match_index import MatchRow


def _columns(schema: pa.Schema, *names: str) -> list[pa.Field]:
    return [schema.field(name) for name in names]


SETTLED = pa.schema([*_columns(FORECASTS, "match_id", "competition", "season", "home_team", "away_team"), *SCORES])
MATCHES = pa.schema([field for field in SCHEMA if field.name in MatchRow._fields and not field.nullable])


class NextFixture(NamedTuple):
    """The match to forecast for a request; `kick_off` is None if no date in the future is known."""

    match_id: str
    season: str
    kick_off: datetime | None
    neutral: bool


class Club(NamedTuple):
    """A club with a rating state. Only such clubs can be forecast."""

    name: str
    competition: str
    season: str
    elo: float
    played: int
    features_as_of: datetime | None


def build_rows(make: Callable[[pd.DataFrame], Any], table: pd.DataFrame, schema: pa.Schema) -> Any:
    """Convert a table with `make`; raises CorruptArtefactError if another release wrote it and it cannot be used."""
    if gaps := [field.name for field in schema if not field.nullable and table[field.name].isna().any()]:
        raise CorruptArtefactError(f"columns {gaps} have missing values; another release wrote the file")
    try:
        return make(table)
    except (AttributeError, TypeError, ValueError) as error:
        raise CorruptArtefactError(f"another release wrote the file: {error}") from error


def failure_reason(error: Exception) -> str:
    """Return why a table could not be read: one of our sentences, or what another library raised."""
    return str(error) if isinstance(error, TouchlineError) else f"it cannot be used: {error!r}"[:300]


def match_rows(table: pd.DataFrame) -> list[MatchRow]:
    """Return the matches of a table."""
    columns = [_values(table, name) for name in MatchRow._fields]
    return [MatchRow(*row) for row in zip(*columns, strict=True)]


def _values(table: pd.DataFrame, name: str) -> list[Any]:
    column = table[name] if name in table else pd.Series([None] * len(table))
    if name in {"matchday", "home_goals", "away_goals"}:
        return [None if pd.isna(value) else int(value) for value in column]
    if name == "kick_off":
        return [value.to_pydatetime() for value in column]
    return column.tolist()


def club_rows(table: pd.DataFrame) -> list[Club]:
    """Return the clubs of a table of rating states."""
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


def next_fixtures(
    matches: Iterable[MatchRow], clubs: Mapping[str, Mapping[str, Club]]
) -> dict[tuple[str, str, str], NextFixture]:
    """Find the next fixture of each (competition, home team, away team).

    That is the first one scheduled after the results in both clubs' states. If there is none, it is one whose new date
    is not known yet. An unplayed fixture of an earlier season does not count.
    """
    fixtures: dict[tuple[str, str, str], NextFixture] = {}
    for row in matches:
        if row.status == "played":
            continue
        members = clubs.get(row.competition, {})
        pair = [members[name] for name in (row.home_team, row.away_team) if name in members]
        is_due = row.status == "scheduled" and all(
            club.features_as_of is None or row.kick_off > club.features_as_of for club in pair
        )
        if not is_due and any(row.season < club.season for club in pair):
            continue
        key = row.competition, row.home_team, row.away_team
        earlier = fixtures.get(key)
        if earlier is None or (is_due and earlier.kick_off is None):
            fixtures[key] = NextFixture(row.match_id, row.season, row.kick_off if is_due else None, row.neutral)
    return fixtures
