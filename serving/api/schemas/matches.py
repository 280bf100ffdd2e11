"""Matches, teams and competitions."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from features.data_dictionary import COLUMNS
from features.matches import Status
from serving.api.schemas.forecasts import ModelReference, Outcome, Probabilities, Score
from serving.api.schemas.operations import ClockInfo
from serving.api.schemas.timestamps import UtcDatetime


class MatchForecast(BaseModel):
    """The published forecast of a match in a list."""

    probabilities: Probabilities
    predicted_outcome: Outcome = Field(description=COLUMNS["predicted_outcome"])
    model: ModelReference
    features_as_of: UtcDatetime = Field(description=COLUMNS["features_as_of"])
    published_at: UtcDatetime = Field(description=COLUMNS["published_at"])


class Match(BaseModel):
    """A match with its score and its published forecast."""

    match_id: str = Field(description=COLUMNS["match_id"])
    competition: str = Field(description=COLUMNS["competition"])
    season: str = Field(description=COLUMNS["season"])
    matchday: int | None = Field(description=COLUMNS["matchday"])
    kick_off: UtcDatetime = Field(description=COLUMNS["kick_off"])
    kick_off_precision: Literal["time", "day"] = Field(
        description="`day` if only the day is known; the time of `kick_off` is then a placeholder."
    )
    home_team: str = Field(description=COLUMNS["home_team"])
    away_team: str = Field(description=COLUMNS["away_team"])
    status: Status = Field(description=COLUMNS["status"])
    score: Score | None = Field(description="Null until the match is played.")
    forecast: MatchForecast | None = Field(description="Null if no forecast was published.")


class MatchPage(ClockInfo):
    """One page of matches, ordered by kick-off."""

    items: list[Match]
    next_cursor: str | None = Field(description="Pass as `cursor` to get the next page; null on the last page.")


class Team(BaseModel):
    """A club that can be forecast, with its current Elo rating."""

    name: str
    competition: str
    season: str
    elo: float
    matches_played: int = Field(description="Matches that the rating includes.")
    features_as_of: UtcDatetime | None = Field(description="Kick-off of the club's last rated match.")


class Teams(BaseModel):
    """Clubs by competition and name."""

    items: list[Team]


class Competition(BaseModel):
    """A competition, with the seasons, matches and clubs that the lake holds."""

    competition: str
    name: str
    country: str
    seasons: list[str]
    matches: int
    teams: int


class Competitions(BaseModel):
    """All competitions in the lake."""

    items: list[Competition]
