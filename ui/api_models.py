"""Response models of the API, limited to the fields that the pages use.

Unknown fields are ignored, so that the API can add fields without a new version of the viewer.
"""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

OUTCOMES = ("home", "draw", "away")


class ApiModel(BaseModel):
    """Base of all response models: frozen, ignores unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class Probabilities(ApiModel):
    """Probabilities of the three outcomes, always in the order home, draw, away."""

    home: float
    draw: float
    away: float

    @property
    def triple(self) -> tuple[float, float, float]:
        return self.home, self.draw, self.away


class ModelRef(ApiModel):
    """The model that made a forecast, and the kick-off of the last match it was trained on."""

    name: str
    version: int
    trained_through: datetime


class Forecast(ApiModel):
    """Probabilities of one match and their origin."""

    probabilities: Probabilities
    predicted_outcome: str
    model: ModelRef
    features_as_of: datetime
    published_at: datetime | None = None  # None for a forecast on request


class Score(ApiModel):
    """Goals of a played match."""

    home: int
    away: int

    @property
    def outcome(self) -> str:
        return "home" if self.home > self.away else "away" if self.away > self.home else "draw"


class Match(ApiModel):
    """A fixture or result, with its published forecast if there is one."""

    match_id: str
    competition: str
    season: str
    matchday: int | None = None
    kick_off: datetime
    kick_off_precision: str = "time"  # "day": the time is a placeholder
    home_team: str
    away_team: str
    status: str
    score: Score | None = None
    forecast: Forecast | None = None

    @property
    def has_time(self) -> bool:
        """Whether the time of the kick-off is known, and not only its day."""
        return self.kick_off_precision == "time"

    @property
    def favourite_won(self) -> bool | None:
        """Whether the most likely outcome of the forecast happened; None before the match or without a forecast."""
        if self.score is None or self.forecast is None:
            return None
        return self.forecast.predicted_outcome == self.score.outcome


class Rating(ApiModel):
    """Elo of a club before one of its matches."""

    team: str
    kick_off: datetime
    elo: float


class RatingHistory(ApiModel):
    """Ratings of both clubs of a match, ordered by kick-off."""

    items: list[Rating]


class Goals(ApiModel):
    """Expected goals of both sides."""

    home: float
    away: float


class Scoreline(ApiModel):
    """A final score and its probability."""

    home: int
    away: int
    probability: float


class RatingContribution(ApiModel):
    """Contribution of a rating to the log-odds of a home win against an away win."""

    rating: str
    share: float


class Explanation(ApiModel):
    """Log-odds of a home win against an away win: the value for two average clubs plus each rating's contribution."""

    baseline_log_odds: float
    contributions: list[RatingContribution]
    log_odds: float


class MatchesRated(ApiModel):
    """Number of matches behind the ratings of each club."""

    home: int
    away: int


class Insight(ApiModel):
    """Details of a published forecast."""

    expected_goals: Goals
    scorelines: list[Scoreline]
    explanation: Explanation | None = None
    matches_rated: MatchesRated
    sparse_history_clubs: list[str]


class Settlement(ApiModel):
    """Scores of a published forecast."""

    rps: float
    log_loss: float


class PublishedForecast(ApiModel):
    """The scores of a published forecast; None until the match is settled."""

    settled: Settlement | None = None


class MatchPage(ApiModel):
    """One page of a list of matches, with the platform's clock."""

    items: list[Match]
    next_cursor: str | None = None
    as_of: datetime | None = None  # the time that the platform's clock shows
    clock: str | None = None  # now, replay or fixed


class TaskAccepted(ApiModel):
    """A queued task."""

    task_id: str
    status: str


class FieldError(ApiModel):
    """Suggestions for an invalid value."""

    suggestions: list[str] = []


class Problem(ApiModel):
    """An RFC 9457 problem document."""

    title: str = ""
    detail: str = ""
    errors: list[FieldError] = []


class TaskStatus(ApiModel):
    """Status of a task: pending, started, success with a result, or failure with an error."""

    status: str
    result: Forecast | None = None
    error: Problem | None = None


class Team(ApiModel):
    """A club that can be forecast, with its current rating."""

    name: str
    competition: str
    season: str
    elo: float
    matches_played: int
    features_as_of: datetime | None = None


class Teams(ApiModel):
    """All clubs, ordered by competition and name."""

    items: list[Team]


class Competition(ApiModel):
    """A competition in the data."""

    competition: str
    name: str
    seasons: list[str]
    matches: int


class Competitions(ApiModel):
    """All competitions in the data."""

    items: list[Competition]


class TableRow(ApiModel):
    """A club in the simulated final table: the probability of each position and of each of the table's zones."""

    team: str
    played: int
    points: float
    expected_points: float
    positions: list[float]
    chances: list[float] = []


class Zone(ApiModel):
    """A zone of the table, such as relegation: places `first` to `last`."""

    name: str
    kind: str
    first: int
    last: int


class SeasonTable(ApiModel):
    """The simulated final table of one competition; `chances` of each row follow the order of `places`."""

    competition: str
    season: str
    model_version: int
    features_as_of: datetime
    complete: bool = True
    places_known: bool = True
    caveats: list[str] = Field(default_factory=list)
    places: list[Zone] = []
    items: list[TableRow]


class ProvisionalModel(ApiModel):
    """Why the version in production is provisional, and how many matches it was judged by and still needs."""

    reason: str
    matches: int
    missing: int


class ModelInfo(ApiModel):
    """The model that the workers use."""

    name: str
    version: int
    trained_through: datetime
    created_at: datetime | None = None
    loaded_at: datetime | None = None
    features: list[str] = []
    tags: dict[str, str] = {}
    workers: int | None = None
    provisional: ProvisionalModel | None = None
    other_versions: list[int] = []


class Scores(ApiModel):
    """Mean scores of n settled matches; lower is better, except for accuracy."""

    n: float
    rps: float
    log_loss: float
    brier: float
    accuracy: float
    ece: float


class Comparison(ApiModel):
    """Skill against one baseline on the same matches, and the paired RPS difference with its 95% interval."""

    skill: float
    n: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None


class MeanDifference(ApiModel):
    """Mean RPS difference of n matches with bounds that hold at every look."""

    n: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None


class CurvePoint(ApiModel):
    """One bin of a reliability curve: mean forecast, observed frequency, and its 95% interval for n matches."""

    n: int
    forecast: float
    observed: float
    low: float
    high: float


class Calibration(ApiModel):
    """Calibration error, the limit that a perfectly calibrated model meets 19 times in 20, and a curve per outcome."""

    error: float
    limit: float
    consistent: bool
    curves: dict[str, list[CurvePoint]]


class PerformanceGroup(ApiModel):
    """Scores of one competition, window and model version (`all` for all versions)."""

    competition: str
    window: str
    model_version: str
    matches: int
    since: datetime = Field(validation_alias="from")
    to: datetime
    scores: dict[str, Scores | None]
    against: dict[str, Comparison] = {}
    calibration: Calibration
    surprise: MeanDifference | None = None


class PerformanceWeek(ApiModel):
    """Mean RPS per forecaster in one week, and over all weeks up to it."""

    week: str
    matches: int
    rps: dict[str, float | None]
    rps_so_far: dict[str, float | None]


class Performance(ApiModel):
    """Scores of the published forecasts by group and by week."""

    matches: int = 0
    groups: list[PerformanceGroup] = []
    weeks: list[PerformanceWeek] = []


class GateCondition(ApiModel):
    """One condition of the promotion gate, and whether it passed."""

    name: str
    passed: bool = Field(validation_alias="open")
    why: str


class Witness(MeanDifference):
    """Difference between candidate and production, and the matches that would be enough."""

    needed: int | None = None
    expected_on: date | None = None


class ProductionComparison(ApiModel):
    """The candidate against production, by results and by closing odds."""

    margin: float
    results: Witness
    market: Witness | None = None
    market_rejection: str | None = None


class PromotionGate(ApiModel):
    """The latest decision on the candidate for production."""

    candidate: int | None = None
    production: int | None = None
    passed: bool = Field(False, validation_alias="open")
    conditions: list[GateCondition] = []
    comparison: ProductionComparison | None = None


class DriftColumn(ApiModel):
    """One compared column. It has drifted if its p-value is below the threshold. Without data there is no p-value."""

    column: str
    kind: str
    p_value: float | None
    threshold: float
    drifted: bool
    mean_reference: float | None
    mean_window: float | None


class DriftCalibration(ApiModel):
    """False alarms of the verdict on past seasons without drift."""

    windows: int = 0
    false_alarm_rate: float | None = None


class DateRange(ApiModel):
    """First and last kick-off of the compared matches; None without matches."""

    since: datetime | None = Field(None, validation_alias="from")
    to: datetime | None = None


class DriftSummary(ApiModel):
    """Summary of one week's drift report."""

    week: str
    state: str
    matches: int
    minimum: int = 0
    share: float | None = None
    columns: list[DriftColumn] = []
    threshold_calibration: DriftCalibration = Field(DriftCalibration(), validation_alias="trust")
    window: DateRange = DateRange()
    reference: DateRange = DateRange()


class DriftWeeks(ApiModel):
    """Drift summaries by week, newest first."""

    items: list[DriftSummary]
