"""Forecasts: requests for them, published ones, batches and tasks."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from features.data_dictionary import COLUMNS
from serving.api.schemas.problems import Problem
from serving.api.schemas.timestamps import RequestedDatetime, UtcDatetime
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


MAX_UNKNOWN_FIELDS = 20


class RequestBody(BaseModel):
    """Base of request bodies. Unknown fields are errors, one each up to `MAX_UNKNOWN_FIELDS`; more are one error."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_field_count(cls, values: Any) -> Any:
        if isinstance(values, dict) and len(values) > len(cls.model_fields) + MAX_UNKNOWN_FIELDS:
            raise PydanticCustomError(
                "too_many_fields",
                "has {count} fields; expected {names}",
                {"count": len(values), "names": ", ".join(cls.model_fields)},
            )
        return values


class PredictRequest(RequestBody):
    """The two clubs of a match. `competition` is needed only if both clubs play in several competitions.

    Club names may also be common short names. `kick_off` defaults to that of the clubs' next fixture. Another day of
    the same season is taken, since matches are moved: the forecast then also has `listed_kick_off`.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"home_team": "Arsenal", "away_team": "Everton"}]},
    )

    home_team: ClubName
    away_team: ClubName
    competition: Slug | None = None
    kick_off: RequestedDatetime | None = None


class BatchRequest(RequestBody):
    """Up to 1,000 matches. An item that cannot be forecast gets an error of its own; the others get forecasts.

    An item that does not match the schema ends validation: the error names it, and later items are not checked.
    """

    matches: Annotated[list[PredictRequest], Field(min_length=1, max_length=MAX_BATCH_SIZE, fail_fast=True)]


class Probabilities(BaseModel):
    """Probabilities of home win, draw and away win. They sum to one."""

    home: Probability = Field(description=COLUMNS["home"])
    draw: Probability = Field(description=COLUMNS["draw"])
    away: Probability = Field(description=COLUMNS["away"])


class ModelReference(BaseModel):
    """The model that made a forecast."""

    name: str
    version: int
    trained_through: UtcDatetime = Field(description=COLUMNS["trained_through"])


class ForecastFields(BaseModel):
    """What every forecast has."""

    match_id: str = Field(description=COLUMNS["match_id"])
    competition: str = Field(description=COLUMNS["competition"])
    season: str = Field(description=COLUMNS["season"])
    kick_off: UtcDatetime | None = Field(description=COLUMNS["kick_off"])
    home_team: str = Field(description=COLUMNS["home_team"])
    away_team: str = Field(description=COLUMNS["away_team"])
    probabilities: Probabilities
    predicted_outcome: Outcome = Field(description=COLUMNS["predicted_outcome"])
    model: ModelReference
    features_as_of: UtcDatetime = Field(description=COLUMNS["features_as_of"])


class Forecast(ForecastFields):
    """A forecast of one match.

    If no such match is scheduled, `kick_off` is the one of the request or null, and `match_id` and `season` are those
    that the next meeting of the clubs at this ground would have: in the next season if the format of the competition
    has no further one in this season. An id with the suffix `-2` is of a second meeting in one season.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [FORECAST_EXAMPLE]})

    listed_kick_off: UtcDatetime | None = Field(
        None, description="The kick-off that the list of matches has; only if the request named another one."
    )


class Score(BaseModel):
    """Goals of the home and of the away side."""

    home: int
    away: int


class Settlement(BaseModel):
    """The result of a match, and how the published forecast scored."""

    score: Score
    outcome: Outcome
    rps: float = Field(description=COLUMNS["rps"])
    log_loss: float = Field(description=COLUMNS["log_loss"])
    brier: float = Field(description=COLUMNS["brier"])


class PublishedForecast(ForecastFields):
    """A forecast that was published before kick-off, and how it scored once the match is settled."""

    published_at: UtcDatetime = Field(description=COLUMNS["published_at"])
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
