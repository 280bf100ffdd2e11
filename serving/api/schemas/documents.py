"""The shapes on the wire: what requests must look like, and what answers always look like."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from features.io.clock import ClockMode
from features.league_rules import ZoneKind
from features.matches import Status
from serving.wire.columns import MOST_MATCHES

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
    """Result from the home side's view."""

    HOME = "home"
    DRAW = "draw"
    AWAY = "away"


class PredictRequest(BaseModel):
    """Two clubs, and where it is not obvious, which competition and when.

    Clubs are taken under their usual short names too. A `kick_off` more than a week from the known one is refused.
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
    """Up to 1,000 matches at once. An item that cannot be forecast is answered with its own error."""

    model_config = ConfigDict(extra="forbid")

    matches: Annotated[list[PredictRequest], Field(min_length=1, max_length=MOST_MATCHES)]


class Probabilities(BaseModel):
    """Sum to one."""

    home: Probability
    draw: Probability
    away: Probability


class ModelReference(BaseModel):
    """The model behind a forecast."""

    name: str
    version: int
    trained_through: datetime


class Forecast(BaseModel):
    """A forecast of one match.

    Where no such match is scheduled, `kick_off` is null unless one was given, and `match_id` is what the pair's next
    meeting at this ground would be called: `-2` after one that was played.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [FORECAST_EXAMPLE]})

    match_id: str
    competition: str
    season: str
    kick_off: datetime | None
    home_team: str
    away_team: str
    probabilities: Probabilities
    predicted_outcome: Outcome
    model: ModelReference
    features_as_of: datetime


class Score(BaseModel):
    """Goals of both sides."""

    home: int
    away: int


class Settlement(BaseModel):
    """What happened, and how good the forecast was."""

    score: Score
    outcome: Outcome
    rps: float
    log_loss: float
    brier: float


class PublishedForecast(Forecast):
    """A forecast of the batch, with what happened if it is settled."""

    published_at: datetime
    settled: Settlement | None


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str
    message: str
    suggestions: list[str] = Field([], description="Known values that are similar, most similar first.")


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[FieldError] = []


class BatchItem(BaseModel):
    """One item of a batch, in the order of the request: a forecast or an error."""

    index: int
    forecast: Forecast | None = None
    error: Problem | None = None


class BatchResponse(BaseModel):
    """Answers to all items."""

    items: list[BatchItem]


class TaskAccepted(BaseModel):
    """The task is on the queue."""

    task_id: str
    status: Literal["queued"] = "queued"


class TaskState(StrEnum):
    """How far a task is."""

    PENDING = "pending"
    STARTED = "started"
    SUCCESS = "success"
    FAILURE = "failure"


class TaskStatus(BaseModel):
    """How far a task is, with its result or its error."""

    task_id: str
    status: TaskState
    result: Forecast | None = None
    error: Problem | None = None


class MatchForecast(BaseModel):
    """The published forecast of a listed match."""

    probabilities: Probabilities
    predicted_outcome: Outcome
    model: ModelReference
    features_as_of: datetime
    published_at: datetime


class Match(BaseModel):
    """A match, its score once it is played, its published forecast if there is one."""

    match_id: str
    competition: str
    season: str
    matchday: int | None
    kick_off: datetime
    home_team: str
    away_team: str
    status: Status
    score: Score | None
    forecast: MatchForecast | None


class Standing(BaseModel):
    """The moment that the platform stands at: matches after it are fixtures to it."""

    as_of: datetime | None = None
    clock: ClockMode | None = Field(
        None,
        description="What moves it on: now (it is the real time), replay (a past season is replayed, and `touchline "
        "advance` moves it on) or fixed (a setting gives it).",
    )


class MatchPage(Standing):
    """A page of matches by kick-off; `next_cursor` leads to the next one."""

    items: list[Match]
    next_cursor: str | None


class Team(BaseModel):
    """A club that can be forecast, with its ratings as they stand."""

    name: str
    competition: str
    season: str
    elo: float
    matches_played: int
    features_as_of: datetime | None


class Teams(BaseModel):
    """Clubs by competition and name."""

    items: list[Team]


class Competition(BaseModel):
    """A competition with what the lake holds of it."""

    competition: str
    name: str
    country: str
    seasons: list[str]
    matches: int
    teams: int


class Competitions(BaseModel):
    """All competitions that are in the lake."""

    items: list[Competition]


class TableRow(BaseModel):
    """A club's place in the simulated final table."""

    team: str
    played: int
    points: float
    expected_points: float
    p_title: Probability
    p_top_four: Probability
    p_relegation: Probability = Field(description="Relegation without a play-off.")
    positions: list[Probability] = Field(description="Probability of each final position, from first.")
    chances: list[Probability] = Field(description="Probability of each of the table's `places`, in their order.")


class TablePlace(BaseModel):
    """What places `first` to `last` of the competition's final table mean."""

    name: str
    kind: ZoneKind
    first: int
    last: int


class SeasonTable(BaseModel):
    """The simulated final table."""

    competition: str
    season: str
    model_version: int
    features_as_of: datetime
    complete: bool = Field(description="False where matches may be missing: only those that are listed were simulated.")
    places_known: bool = Field(description="False where the rules are not known: top four and last three stand in.")
    places: list[TablePlace]
    items: list[TableRow]


class Rating(BaseModel):
    """Elo of a club as it stood before one of its matches."""

    team: str
    match_id: str
    kick_off: datetime
    elo: float


class RatingHistory(BaseModel):
    """Ratings of both clubs by kick-off."""

    items: list[Rating]


class ExpectedGoals(BaseModel):
    """Mean goals of both sides over all scores."""

    home: float
    away: float


class Scoreline(BaseModel):
    """A final score and how likely it is."""

    home: int
    away: int
    probability: Probability


class RatingContribution(BaseModel):
    """How far one rating system moved the forecast: above zero towards the home side, below towards the away side."""

    rating: str
    share: float


class Explanation(BaseModel):
    """log(home / away) of the forecast: that of two average clubs, and what each rating system adds to it."""

    baseline_log_odds: float
    contributions: list[RatingContribution]
    log_odds: float


class MatchesRated(BaseModel):
    """How many matches of each club its ratings had seen."""

    home: int
    away: int


class Odds(BaseModel):
    """Decimal odds before the match that went into a forecast."""

    home: float
    draw: float
    away: float
    known_at: datetime = Field(description="Since when they are known.")


class Insight(BaseModel):
    """What stands behind a published forecast."""

    match_id: str
    probabilities: Probabilities
    published_at: datetime
    expected_goals: ExpectedGoals
    scorelines: list[Scoreline] = Field(description="The likeliest final scores, likeliest first.")
    explanation: Explanation | None = Field(description="Null for a model whose parts cannot be told apart.")
    odds: Odds | None = Field(None, description="Null where none went into the forecast.")
    matches_rated: MatchesRated
    sparse_history_clubs: list[str] = Field(
        description="Clubs with hardly any match in the data: they are taken for usual newcomers, the forecast is wide."
    )


class ModelInfo(BaseModel):
    """The model that the workers really use, as the registry tells it."""

    name: str
    version: int
    trained_through: datetime
    created_at: datetime
    loaded_at: datetime
    features: list[str]
    tags: dict[str, str]
    workers: int = Field(description="Worker processes that have this version loaded.")
    other_versions: list[int] = Field(description="Versions that other worker processes still have loaded.")


class Queue(BaseModel):
    """One queue at the broker."""

    name: str
    messages: int = Field(description="Waiting for a worker.")
    consumers: int


class Queues(BaseModel):
    """The broker's queues."""

    items: list[Queue]


class Worker(BaseModel):
    """One worker process that is alive."""

    name: str
    pid: int
    seen_at: datetime
    model_version: int | None
    error: str | None = Field(description="Why it has no model, if it has none.")


class Workers(BaseModel):
    """Live worker processes."""

    items: list[Worker]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Part(BaseModel):
    """One thing the service needs."""

    ok: bool
    detail: str


class Readiness(Standing):
    """Whether predictions can be answered, and what is missing if not."""

    status: Literal["ready", "unready"]
    parts: dict[str, Part]
