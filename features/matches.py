"""Matches: identity, schema, outcome, and what was known at a given time.

A matches table is a pandas DataFrame with the columns of `SCHEMA`, sorted by kick-off then match_id. Scores of matches
that are not played are missing (NaN / NA), never zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import InvalidInputError
from features.slugs import club_slugs, slug, slugs_of

RESULT_DELAY = timedelta(hours=3)
"""Time from kick-off until the result counts as known: two halves, the break, stoppage time and the feed's delay."""

SCHEMA = pa.schema(
    [
        pa.field("match_id", pa.string(), nullable=False),
        pa.field("competition", pa.string(), nullable=False),
        pa.field("season", pa.string(), nullable=False),
        pa.field("matchday", pa.int16()),
        pa.field("kick_off", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("kick_off_exact", pa.bool_(), nullable=False),  # False: only the day is known
        pa.field("home_team", pa.string(), nullable=False),
        pa.field("away_team", pa.string(), nullable=False),
        pa.field("neutral", pa.bool_(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("awarded", pa.bool_(), nullable=False),  # decided by a tribunal; score as played, if a source has it
        pa.field("home_goals", pa.int16()),
        pa.field("away_goals", pa.int16()),
        pa.field("home_shots", pa.int16()),
        pa.field("away_shots", pa.int16()),
        pa.field("home_shots_on_target", pa.int16()),
        pa.field("away_shots_on_target", pa.int16()),
        pa.field("odds_home", pa.float64()),  # decimal, before the match
        pa.field("odds_draw", pa.float64()),
        pa.field("odds_away", pa.float64()),
        pa.field("odds_known_at", pa.timestamp("us", tz="UTC")),  # if missing, the odds are never used as features
        pa.field("closing_home", pa.float64()),  # decimal, at kick-off: a reference, never a feature
        pa.field("closing_draw", pa.float64()),
        pa.field("closing_away", pa.float64()),
        pa.field("source", pa.string(), nullable=False),
    ]
)

RESULT_COLUMNS = (
    "home_goals",
    "away_goals",
    "home_shots",
    "away_shots",
    "home_shots_on_target",
    "away_shots_on_target",
    "closing_home",
    "closing_draw",
    "closing_away",
)
"""Columns that exist only once a match is over (closing odds: once it has begun)."""


ODDS = ("odds_home", "odds_draw", "odds_away")
"""Columns of the odds before the match."""

ORIGIN = "origin"
"""Column in which readers carry the file and row of a match; it never enters the lake."""

PAIR = ["competition", "season", "home_team", "away_team"]
"""Columns that identify a match if a pair meets once at each ground."""


class Outcome(IntEnum):
    """Result of a match from the home side's view; also the class labels of every model, in this order."""

    HOME = 0
    DRAW = 1
    AWAY = 2


OUTCOMES = ("home", "draw", "away")
"""Names of the three outcomes, in the order of every probability triple."""


class Status(StrEnum):
    """Status of a match."""

    SCHEDULED = "scheduled"
    PLAYED = "played"
    POSTPONED = "postponed"


@dataclass(frozen=True)
class MatchRef:
    """Parts of a match_id. `clubs` is `{home}-{away}` in slugs, with `-2` for a second meeting."""

    competition: str
    season: str
    clubs: str


def build_match_id(
    competition: str,
    season: str,
    home_team: str,
    away_team: str,
    meeting: int = 1,
    slugs: Mapping[str, str] | None = None,
) -> str:
    """Build the id of a match.

    Parameters
    ----------
    meeting : counts the meetings at this ground in this season, from 1.
    slugs : `club_slugs` of the competition, which are needed if two of its clubs are spelt almost alike.
    """
    home, away = ((slugs or {}).get(name) or slug(name) for name in (home_team, away_team))
    suffix = f"-{meeting}" if meeting > 1 else ""
    return f"{competition}-{season}-{home}-{away}{suffix}"


def is_id_of(match_id: str, competition: str, season: str, home_team: str, away_team: str) -> bool:
    """Whether a match_id is that of a meeting of two clubs, also if an earlier version built it."""
    first = build_match_id(competition, season, home_team, away_team)
    if match_id == first or match_id.removeprefix(first).removeprefix("-").isdigit():
        return True
    pairs = product(slugs_of(home_team), slugs_of(away_team))
    ids = (f"{competition}-{season}-{home}-{away}" for home, away in pairs)
    return any(match_id == text or match_id.removeprefix(f"{text}-").isdigit() for text in ids)


_MATCH_ID = re.compile(
    r"(?P<competition>[a-z][a-z0-9]*(?:-[a-z0-9]+)*?)-(?P<season>\d{4}(?:-\d{2})?)-(?P<clubs>[a-z0-9]+(?:-[a-z0-9]+)+)"
)


def parse_match_id(match_id: str) -> MatchRef:
    """Split a match_id into its parts.

    Raises
    ------
    InvalidInputError
        If it does not have the form `{competition}-{season}-{home}-{away}`.
    """
    parts = _MATCH_ID.fullmatch(match_id) if len(match_id) <= 200 else None
    if parts is None:
        raise InvalidInputError(
            f"match_id {match_id[:200]!r} does not have the form competition-season-home-away, "
            "for example eng-premier-league-2025-26-arsenal-chelsea"
        )
    return MatchRef(parts["competition"], parts["season"], parts["clubs"])


def with_match_ids(matches: pd.DataFrame) -> pd.DataFrame:
    """Return the table sorted by kick-off with `match_id` filled in; the n-th meeting at one ground gets `-n`.

    Meetings are counted by matchday if the source has it, otherwise by kick-off: a match postponed past the second
    meeting keeps its matchday, and so its id.
    """
    ordered = matches.sort_values(["kick_off", "home_team", "away_team"], kind="stable").reset_index(drop=True)
    counted = ordered.sort_values("matchday", kind="stable") if "matchday" in ordered else ordered
    meeting = (counted.groupby(PAIR, sort=False).cumcount() + 1).sort_index()
    groups, sides = ordered.groupby("competition", sort=False), ["home_team", "away_team"]
    slugs = {str(competition): club_slugs(games[sides].to_numpy().ravel()) for competition, games in groups}
    ids = [
        build_match_id(competition, season, home, away, n, slugs[competition])
        for (competition, season, home, away), n in zip(
            ordered[PAIR].itertuples(index=False, name=None), meeting, strict=True
        )
    ]
    return ordered.assign(match_id=ids)


def outcomes(matches: pd.DataFrame) -> NDArray[np.int64]:
    """Return class labels (n,) of played matches: 0 home, 1 draw, 2 away; InvalidInputError if a score is missing."""
    difference = matches["home_goals"].to_numpy(float) - matches["away_goals"].to_numpy(float)
    if np.isnan(difference).any():
        row = matches.iloc[int(np.isnan(difference).argmax())]
        raise InvalidInputError(f"match {row.match_id} has no score, so it has no outcome")
    return np.asarray(1 - np.sign(difference), dtype=np.int64)


def decided_on_pitch(matches: pd.DataFrame) -> NDArray[np.bool_]:
    """Return a mask (n,) of the results that say something about the clubs' strength: played and not awarded.

    An awarded result counts in the table. It enters neither ratings nor training nor evaluation, as it may stand for a
    match that was never played, and not every source has the score as played.
    """
    return np.asarray((matches["status"] == Status.PLAYED) & ~matches["awarded"].astype(bool))


def is_known(matches: pd.DataFrame, as_of: datetime) -> pd.Series:
    """Return a mask of the rows whose result was known at `as_of` (timezone-aware)."""
    if as_of.tzinfo is None:
        raise InvalidInputError(
            f"as_of {as_of.isoformat()} has no timezone; give one, for example {as_of.isoformat()}Z"
        )
    # A match whose time of day is unknown counts as over when its day is over.
    over = matches["kick_off"] + RESULT_DELAY
    day_over = matches["kick_off"].dt.floor("D") + timedelta(days=1)
    known_at = over.where(matches["kick_off_exact"], day_over)
    return (matches["status"] == Status.PLAYED) & (known_at <= pd.Timestamp(as_of))


def as_known_at(matches: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Return the matches as known at `as_of`: unfinished ones become fixtures without score, shots or closing odds.

    Odds of upcoming matches are kept only if they were known at `as_of`.
    """
    hidden = (matches["status"] == Status.PLAYED) & ~is_known(matches, as_of)
    upcoming = matches["kick_off"] > pd.Timestamp(as_of)
    odds_known = matches["odds_known_at"] <= pd.Timestamp(as_of)
    hidden_odds = upcoming & matches[list(ODDS)].notna().any(axis=1) & ~odds_known
    if not hidden.any() and not hidden_odds.any():
        return matches
    known = matches.copy()
    known.loc[hidden, "status"] = Status.SCHEDULED.value
    known.loc[hidden, "awarded"] = False
    for column in RESULT_COLUMNS:
        known[column] = known[column].where(~hidden)
    for column in (*ODDS, "odds_known_at"):
        known[column] = known[column].where(~hidden_odds)
    return known


def conform(matches: pd.DataFrame) -> pd.DataFrame:
    """Order columns as in `SCHEMA`, add missing optional ones as empty, and give each its pandas type.

    Counts become float64 (NaN if missing) so that every library downstream supports them.
    The column `ORIGIN` of the readers stays, last.

    Raises
    ------
    InvalidInputError
        If a required column is missing.
    """
    rows = pd.RangeIndex(len(matches))
    out: dict[str, pd.Series] = {}
    for field in SCHEMA:
        if field.name not in matches:
            if not field.nullable:
                raise InvalidInputError(
                    f"a matches table needs the column {field.name!r}; it has {sorted(matches.columns)}"
                )
            is_time = pa.types.is_timestamp(field.type)
            out[field.name] = pd.Series(
                pd.NaT if is_time else np.nan, rows, "datetime64[us, UTC]" if is_time else float
            )
            continue
        column = matches[field.name].set_axis(rows)
        if pa.types.is_timestamp(field.type):
            is_conform = column.dtype == "datetime64[us, UTC]"
            out[field.name] = column if is_conform else pd.to_datetime(column, utc=True).dt.as_unit("us")
        elif pa.types.is_boolean(field.type):
            out[field.name] = column.astype(bool)
        elif pa.types.is_string(field.type):
            out[field.name] = column.astype("str")
        else:
            out[field.name] = column if column.dtype == "float64" else pd.to_numeric(column).astype("float64")
    if ORIGIN in matches:
        out[ORIGIN] = matches[ORIGIN].set_axis(rows)
    return pd.DataFrame(out, index=rows)
