"""What the API answers, as far as the pages use it. Fields that the API adds are ignored, so both can move apart."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

OUTCOMES = ("home", "draw", "away")


class Answer(BaseModel):
    """Base of all answers: frozen, tolerant of new fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class Probabilities(Answer):
    """One triple, always home, draw, away."""

    home: float
    draw: float
    away: float

    @property
    def triple(self) -> tuple[float, float, float]:
        return self.home, self.draw, self.away


class ModelRef(Answer):
    """Which model made a forecast, and the last match it learnt from."""

    name: str
    version: int
    trained_through: datetime


class Forecast(Answer):
    """Probabilities of one match and where they come from."""

    probabilities: Probabilities
    predicted_outcome: str
    model: ModelRef
    features_as_of: datetime
    published_at: datetime | None = None  # a forecast made on request is not published


class Score(Answer):
    """Goals of a match that was played."""

    home: int
    away: int

    @property
    def outcome(self) -> str:
        return "home" if self.home > self.away else "away" if self.away > self.home else "draw"


class Match(Answer):
    """One match: fixture or result, with the forecast that was published for it, if any."""

    match_id: str
    competition: str
    season: str
    matchday: int | None = None
    kick_off: datetime
    home_team: str
    away_team: str
    status: str
    score: Score | None = None
    forecast: Forecast | None = None


class MatchPage(Answer):
    """One page of a list of matches."""

    items: list[Match]
    next_cursor: str | None = None


class Accepted(Answer):
    """A task that was put on the queue."""

    task_id: str
    status: str


class Problem(Answer):
    """An RFC 9457 problem document."""

    title: str = ""
    detail: str = ""


class TaskStatus(Answer):
    """Where a task stands: pending, started, success with a result, or failure with an error."""

    status: str
    result: Forecast | None = None
    error: Problem | None = None
