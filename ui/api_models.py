"""What the API answers, as far as the pages use it. Fields that the API adds are ignored, so both can move apart."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

OUTCOMES = ("home", "draw", "away")


class ApiModel(BaseModel):
    """Base of all answers: frozen, tolerant of new fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class Probabilities(ApiModel):
    """One triple, always home, draw, away."""

    home: float
    draw: float
    away: float

    @property
    def triple(self) -> tuple[float, float, float]:
        return self.home, self.draw, self.away


class ModelRef(ApiModel):
    """Which model made a forecast, and the last match it learnt from."""

    name: str
    version: int
    trained_through: datetime


class Forecast(ApiModel):
    """Probabilities of one match and where they come from."""

    probabilities: Probabilities
    predicted_outcome: str
    model: ModelRef
    features_as_of: datetime
    published_at: datetime | None = None  # a forecast made on request is not published


class Score(ApiModel):
    """Goals of a match that was played."""

    home: int
    away: int

    @property
    def outcome(self) -> str:
        return "home" if self.home > self.away else "away" if self.away > self.home else "draw"


class Match(ApiModel):
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

    @property
    def favourite_won(self) -> bool | None:
        """Whether the likeliest outcome of the forecast came in; None before the match or without a forecast."""
        if self.score is None or self.forecast is None:
            return None
        return self.forecast.predicted_outcome == self.score.outcome


class Rating(ApiModel):
    """Elo of a club before one of its matches."""

    team: str
    kick_off: datetime
    elo: float


class RatingHistory(ApiModel):
    """Ratings of both clubs of a match by kick-off."""

    items: list[Rating]


class Goals(ApiModel):
    """Mean goals of both sides."""

    home: float
    away: float


class Scoreline(ApiModel):
    """A final score and how likely it is."""

    home: int
    away: int
    probability: float


class RatingContribution(ApiModel):
    """How far a rating moved the log-odds of a home win against an away win."""

    rating: str
    share: float


class Explanation(ApiModel):
    """Log-odds of two average clubs, and what each rating adds to them."""

    baseline_log_odds: float
    contributions: list[RatingContribution]
    log_odds: float


class MatchesRated(ApiModel):
    """Matches of each club that its ratings had seen."""

    home: int
    away: int


class Insight(ApiModel):
    """What stands behind a published forecast."""

    expected_goals: Goals
    scorelines: list[Scoreline]
    explanation: Explanation | None = None
    matches_rated: MatchesRated
    sparse_history_clubs: list[str]


class Settlement(ApiModel):
    """How good a published forecast was."""

    rps: float
    log_loss: float


class PublishedForecast(ApiModel):
    """A published forecast, with its settlement once the match is over."""

    settled: Settlement | None = None


class MatchPage(ApiModel):
    """One page of a list of matches."""

    items: list[Match]
    next_cursor: str | None = None
    as_of: datetime | None = None  # the moment that the platform stands at
    clock: str | None = None  # what moves it on: now, replay or fixed


class TaskAccepted(ApiModel):
    """A task that was put on the queue."""

    task_id: str
    status: str


class FieldError(ApiModel):
    """The known values that are similar to a wrong one."""

    suggestions: list[str] = []


class Problem(ApiModel):
    """An RFC 9457 problem document."""

    title: str = ""
    detail: str = ""
    errors: list[FieldError] = []


class TaskStatus(ApiModel):
    """Where a task stands: pending, started, success with a result, or failure with an error."""

    status: str
    result: Forecast | None = None
    error: Problem | None = None


class Team(ApiModel):
    """A club that can be forecast, with its rating as it stands."""

    name: str
    competition: str
    season: str
    elo: float
    matches_played: int
    features_as_of: datetime | None = None


class Teams(ApiModel):
    """Clubs by competition and name."""

    items: list[Team]


class Competition(ApiModel):
    """A competition that the platform holds."""

    competition: str
    name: str
    seasons: list[str]
    matches: int


class Competitions(ApiModel):
    """All of them."""

    items: list[Competition]


class TableRow(ApiModel):
    """A club's place in the simulated final table; `positions` from first to last, `chances` as the table's places."""

    team: str
    played: int
    points: float
    expected_points: float
    positions: list[float]
    chances: list[float] = []


class Place(ApiModel):
    """What places `first` to `last` of a competition's table mean."""

    name: str
    kind: str
    first: int
    last: int


class SeasonTable(ApiModel):
    """The simulated final table of one competition; each row has a chance for each of its places."""

    competition: str
    season: str
    model_version: int
    features_as_of: datetime
    complete: bool = True
    places_known: bool = True
    places: list[Place] = []
    items: list[TableRow]


class ModelInfo(ApiModel):
    """The model that the workers really use."""

    name: str
    version: int
    trained_through: datetime
    created_at: datetime | None = None
    loaded_at: datetime | None = None
    features: list[str] = []
    tags: dict[str, str] = {}
    workers: int | None = None
    other_versions: list[int] = []


class Scores(ApiModel):
    """Means over n settled matches; smaller is better, except accuracy."""

    n: float
    rps: float
    log_loss: float
    brier: float
    accuracy: float
    ece: float


class Comparison(ApiModel):
    """The model against one reference on the same matches: skill, and the paired RPS difference with its interval."""

    skill: float
    n: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None


class CurvePoint(ApiModel):
    """One bin of a reliability curve: what was forecast, what came, and the interval that n matches allow."""

    n: int
    forecast: float
    observed: float
    low: float
    high: float


class Calibration(ApiModel):
    """Calibration error, the limit that a perfect model keeps 19 times in 20, and a curve per outcome."""

    error: float
    limit: float
    consistent: bool
    curves: dict[str, list[CurvePoint]]


class PerformanceGroup(ApiModel):
    """Scores of one competition, window and model version."""

    competition: str
    window: str
    model_version: str
    matches: int
    since: datetime = Field(validation_alias="from")
    to: datetime
    scores: dict[str, Scores | None]
    against: dict[str, Comparison] = {}
    calibration: Calibration


class PerformanceWeek(ApiModel):
    """Mean RPS by forecaster in one week, and over all weeks up to it."""

    week: str
    matches: int
    rps: dict[str, float | None]
    rps_so_far: dict[str, float | None]


class Performance(ApiModel):
    """How good the forecasts were."""

    matches: int = 0
    groups: list[PerformanceGroup] = []
    weeks: list[PerformanceWeek] = []


class DriftColumn(ApiModel):
    """One watched column: drifted when its p-value is below its threshold; without a p-value it is missing."""

    column: str
    kind: str
    p_value: float | None
    threshold: float
    drifted: bool
    mean_reference: float | None
    mean_window: float | None


class DriftTrust(ApiModel):
    """How often the verdict was wrong on seasons without drift."""

    windows: int = 0
    false_alarm_rate: float | None = None


class Extent(ApiModel):
    """First and last kick-off of the matches compared; none when there are none."""

    since: datetime | None = Field(None, validation_alias="from")
    to: datetime | None = None


class DriftSummary(ApiModel):
    """The verdict of one week's drift report."""

    week: str
    state: str
    matches: int
    minimum: int = 0
    share: float | None = None
    columns: list[DriftColumn] = []
    trust: DriftTrust = DriftTrust()
    window: Extent = Extent()
    reference: Extent = Extent()


class DriftWeeks(ApiModel):
    """Drift summaries by week, newest first."""

    items: list[DriftSummary]
