"""Forecasts: requests for them, published ones, batches and tasks."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from serving.api.schemas.problems import Problem
from serving.wire.limits import MAX_BATCH_SIZE

ClubName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
Probability = Annotated[float, Field(ge=0, le=1)]

FORECAST_EXAMPLE: dict[str, Any] = {
    "match_id": "eng-premier-league-2025-26-arsenal-everton",
    "competition": "eng-premier-league",
    "season": "2025-26",
    "kick_off": "2026-03-14T17:30:00Z",
    "home_team": "Arsenal",
    "away_team": "Everton",
    "probabilities": {"home": 0.7, "draw": 0.18, "away": 0.12},
    "predicted_outcome": "home",
    "model": {"name": "match-outcome", "version": 1, "trained_through": "2025-05-25T15:00:00Z"},
    "features_as_of": "2026-03-09T20:00:00Z",
}


class Outcome(StrEnum):
    """Result of a match: home win, draw or away win."""

    HOME = "home"
    DRAW = "draw"
    AWAY = "away"


class PredictRequest(BaseModel):
    """The two clubs of a match. `competition` is needed only if both clubs play in several competitions.

    Club names may also be common short names. `kick_off` defaults to that of the clubs' next fixture; one that differs
    from it by more than a week is an error.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"home_team": "Arsenal", "away_team": "Everton"}]},
    )

    home_team: ClubName
    away_team: ClubName
    competition: Slug | None = None
    kick_off: AwareDatetime | None = None


class BatchRequest(BaseModel):
    """Up to 1,000 matches. An item that cannot be forecast gets an error of its own; the others get forecasts."""

    model_config = ConfigDict(extra="forbid")

    matches: Annotated[list[PredictRequest], Field(min_length=1, max_length=MAX_BATCH_SIZE)]


class Probabilities(BaseModel):
    """Probabilities of home win, draw and away win. They sum to one."""

    home: Probability
    draw: Probability
    away: Probability


class ModelReference(BaseModel):
    """The model that made a forecast."""

    name: str
    version: int
    trained_through: datetime = Field(description="Kick-off of the last match in the training data.")


class Forecast(BaseModel):
    """A forecast of one match.

    If no such match is scheduled, `kick_off` is the one of the request or null, and `match_id` is the id that the next
    meeting of the clubs at this ground would have: with the suffix `-2` if they have already met there this season.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [FORECAST_EXAMPLE]})

    match_id: str
    competition: str
    season: str
    kick_off: datetime | None
    home_team: str
    away_team: str
    probabilities: Probabilities
    predicted_outcome: Outcome = Field(description="The most probable outcome.")
    model: ModelReference
    features_as_of: datetime = Field(description="Time of the latest result or odds that went into the forecast.")


class Score(BaseModel):
    """Goals of the home and of the away side."""

    home: int
    away: int


class Settlement(BaseModel):
    """The result of a match, and how the published forecast scored. Lower scores are better."""

    score: Score
    outcome: Outcome
    rps: float = Field(description="Ranked probability score.")
    log_loss: float
    brier: float = Field(description="Brier score.")


class PublishedForecast(Forecast):
    """A forecast that was published before kick-off, and how it scored once the match is settled."""

    published_at: datetime
    settled: Settlement | None = Field(description="Null until the match is played and scored.")


class BatchItem(BaseModel):
    """The response to one item of a batch: a forecast or an error."""

    index: int = Field(description="Position of the item in the request, from 0.")
    forecast: Forecast | None = None
    error: Problem | None = None


class BatchResponse(BaseModel):
    """One response per item, in the order of the request."""

    items: list[BatchItem]


class TaskAccepted(BaseModel):
    """The task is in the queue."""

    task_id: str = Field(description="Id to poll `/monitoring/task_status/{task_id}` with.")
    status: Literal["queued"] = "queued"


class TaskState(StrEnum):
    """State of a task."""

    PENDING = "pending"
    STARTED = "started"
    SUCCESS = "success"
    FAILURE = "failure"


class TaskStatus(BaseModel):
    """State of a task, with its forecast or its error once it has ended."""

    task_id: str
    status: TaskState
    result: Forecast | None = None
    error: Problem | None = None
