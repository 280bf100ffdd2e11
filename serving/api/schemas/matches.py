"""Matches, teams and competitions."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from features.matches import Status
from serving.api.schemas.forecasts import ModelReference, Outcome, Probabilities, Score
from serving.api.schemas.operations import ClockInfo


class MatchForecast(BaseModel):
    """The published forecast of a match in a list."""

    probabilities: Probabilities
    predicted_outcome: Outcome = Field(description="The most probable outcome.")
    model: ModelReference
    features_as_of: datetime = Field(description="Time of the latest result or odds that went into the forecast.")
    published_at: datetime


class Match(BaseModel):
    """A match with its score and its published forecast."""

    match_id: str
    competition: str
    season: str
    matchday: int | None
    kick_off: datetime
    home_team: str
    away_team: str
    status: Status
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
    features_as_of: datetime | None = Field(description="Kick-off of the club's last rated match.")


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
