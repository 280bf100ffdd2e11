"""Reports that the pipeline writes to the lake: drift by week, and performance."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.api.schemas.timestamps import UtcDatetime

Monday = Annotated[str, Field(description="Monday of the week, YYYY-MM-DD.")]


class Report(BaseModel):
    """Part of a report. A figure that is not a number would become null, which the schema does not promise."""

    model_config = ConfigDict(allow_inf_nan=False)


class Period(Report):
    """Kick-offs of the first and the last match; null if there are none."""

    since: UtcDatetime | None = Field(alias="from")
    until: UtcDatetime | None = Field(alias="to")


class DriftReference(Period):
    """The matches that the window is compared with."""

    matches: int
    seasons: list[str]


class ExcludedCompetition(Report):
    """Number of matches of a competition that has too few for a drift test."""

    matches: int = Field(description="Matches of the current season.")
    reference: int = Field(description="Matches of the reference seasons.")


class DriftCalibration(Report):
    """Thresholds of the drift test, and its error rates as measured on past seasons."""

    thresholds: dict[str, float] = Field(description="p-value below which a column counts as drifted.")
    seasons: list[int] = Field(description="Seasons that the error rates were measured on.")
    windows: int = Field(description="Windows that the error rates were measured on.")
    false_alarm_rate: float | None = Field(description="Null if it was not measured.")
    false_alarms: dict[str, float] | None
    power: dict[str, float] | None = Field(
        description="Share of windows with an injected fault that were reported as drift."
    )


class DriftColumn(Report):
    """Drift test of one feature or prediction."""

    column: str
    kind: Literal["feature", "prediction"]
    p_value: float | None = Field(description="Null if most of the window has no value.")
    threshold: float
    drifted: bool
    missing: float = Field(description="Share of the window without a value.")
    mean_reference: float | None
    mean_window: float | None


class DriftSummary(Report):
    """The drift report of one week."""

    week: Monday
    state: Literal["stable", "drift", "too_few_matches"]
    share: float | None = Field(description="Share of the columns that drifted; null if there are too few matches.")
    matches: int
    minimum: int = Field(description="Matches that the test needs.")
    method: str
    as_published: int = Field(
        description="Matches with their published forecast; the others were forecast again for this report."
    )
    excluded_competitions: dict[str, ExcludedCompetition] = Field(description="Competitions with too few matches.")
    competitions: list[str]
    window: Period
    reference: DriftReference
    threshold_calibration: DriftCalibration = Field(alias="trust")
    drifted: list[str] = []
    columns: list[DriftColumn]
    digest: str = Field(description="Content hash of the report; a review refers to it.")


class DriftWeeks(Report):
    """Drift summaries by week, newest first."""

    items: list[DriftSummary]


class MeanScores(Report):
    """Mean scores over the matches."""

    n: int
    rps: float
    log_loss: float
    brier: float
    accuracy: float
    ece: float = Field(description="Expected calibration error.")


class Comparison(Report):
    """The model against a baseline on the same matches: skill, and the paired RPS difference with its interval."""

    skill: float
    n: int
    mean: float
    low: float | None
    high: float | None


class CurveBin(Report):
    """Forecast and observed share of one outcome, with the 95 % interval of the observed share."""

    since: float = Field(alias="from")
    until: float = Field(alias="to")
    n: int
    forecast: float
    observed: float
    low: float
    high: float
    consistent: bool


class Calibration(Report):
    """Calibration error, the limit that a perfectly calibrated model meets 19 times in 20, and a curve per outcome."""

    error: float
    limit: float
    consistent: bool
    curves: dict[str, list[CurveBin]]


class MeanDifference(Report):
    """Mean RPS difference of n matches, with bounds that hold at every look."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


class PerformanceGroup(Report):
    """Scores of the settled forecasts of one competition, window and model version."""

    competition: str
    window: str = Field(description="all, season, or last_100.")
    model_version: str = Field(description="A version number, or all.")
    matches: int
    since: UtcDatetime = Field(alias="from")
    until: UtcDatetime = Field(alias="to")
    scores: dict[str, MeanScores | None] = Field(description="By forecaster: the model and each baseline.")
    against: dict[str, Comparison] = Field(description="By baseline.")
    calibration: Calibration
    surprise: MeanDifference | None = Field(
        None,
        description="Realised minus expected RPS: above zero, results surprise the model. Null for last_100 and "
        "for single versions.",
    )


class PerformanceWeek(Report):
    """Mean RPS by forecaster, for the week and for all matches so far."""

    week: Monday
    matches: int
    rps: dict[str, float | None]
    rps_so_far: dict[str, float | None]


class GateCondition(Report):
    """One condition of the promotion gate."""

    name: str
    passed: bool = Field(alias="open")
    value: str = Field(description="What was measured.")
    threshold: str = Field(description="What is required.")
    why: str


class Witness(MeanDifference):
    """What one kind of evidence says, candidate minus production, and when it would be enough."""

    needed: int | None = Field(description="Matches that are enough if later ones are like these; null if none are.")
    expected_on: date | None = Field(description="Day of the last match that is needed, at the present pace.")


class ProductionComparison(Report):
    """The candidate against production, by results and by closing odds."""

    margin: float = Field(description="RPS difference that the upper bound must be below.")
    results: Witness
    market: Witness | None = Field(description="Differences expected under the closing odds; null without odds.")
    residual: MeanDifference | None = Field(
        description="Realised minus expected differences: below zero, the candidate knows more than the odds."
    )
    market_rejection: str | None = Field(description="Why the odds are not believed.")


class PromotionGate(Report):
    """The latest decision on the candidate for production."""

    as_of: UtcDatetime
    candidate: int | None = Field(
        description="Null if no version is staged; the version in production if nothing newer is."
    )
    production: int | None
    previous: int | None = Field(None, description="Version that a rollback would restore.")
    policy: str = Field(description="manual if a person must approve, otherwise auto.")
    matches: int = Field(description="Settled matches that the candidate was judged by.")
    passed: bool = Field(alias="open")
    waiting_since: UtcDatetime | None = Field(None, description="Since when only an approval is missing.")
    conditions: list[GateCondition]
    comparison: ProductionComparison | None = None


class Performance(Report):
    """Scores of the settled forecasts, compared with the baselines."""

    as_of: UtcDatetime
    matches: int
    groups: list[PerformanceGroup]
    weeks: list[PerformanceWeek]
