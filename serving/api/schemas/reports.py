"""The shapes of the reports that are passed on from the lake: drift by week, and performance."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

Monday = Annotated[str, Field(description="Monday of the week, YYYY-MM-DD.")]


class Extent(BaseModel):
    """Kick-offs of the first and the last match; null where there is none."""

    since: datetime | None = Field(alias="from")
    until: datetime | None = Field(alias="to")


class DriftReference(Extent):
    """What the window is compared with."""

    matches: int
    seasons: list[str]


class DriftShortage(BaseModel):
    """What a competition that is left out has."""

    matches: int = Field(description="Of the running season.")
    reference: int = Field(description="Of the seasons before.")


class DriftTrust(BaseModel):
    """How far the verdict can be trusted: measured on seasons of the past, where it was."""

    thresholds: dict[str, float] = Field(description="p-value by column below which it counts as drifted.")
    seasons: list[int]
    windows: int
    false_alarm_rate: float | None
    false_alarms: dict[str, float] | None
    power: dict[str, float] | None = Field(description="Share of windows called drift after planting a fault.")


class DriftColumn(BaseModel):
    """One feature or prediction; without a p-value it is missing in most of the window."""

    column: str
    kind: Literal["feature", "prediction"]
    p_value: float | None
    threshold: float
    drifted: bool
    missing: float = Field(description="Share of the window without a value.")
    mean_reference: float | None
    mean_window: float | None


class DriftSummary(BaseModel):
    """The drift report of one week as figures."""

    week: Monday
    state: Literal["stable", "drift", "too_few_matches"]
    share: float | None = Field(description="Share of the columns that drifted; null without a verdict.")
    matches: int
    minimum: int = Field(description="Matches that a verdict needs.")
    method: str
    as_published: int = Field(description="Matches whose forecast is the one that was published, not made again.")
    excluded_competitions: dict[str, DriftShortage] = Field(description="Competitions with too few matches.")
    competitions: list[str]
    window: Extent
    reference: DriftReference
    trust: DriftTrust
    drifted: list[str] = []
    columns: list[DriftColumn]
    digest: str = Field(description="What a review of this report refers to.")


class DriftWeeks(BaseModel):
    """Drift summaries by week, newest first."""

    items: list[DriftSummary]


class MeanScores(BaseModel):
    """Means over the matches."""

    n: float
    rps: float
    log_loss: float
    brier: float
    accuracy: float
    ece: float = Field(description="Expected calibration error.")


class Comparison(BaseModel):
    """The model against a reference on the same matches: skill, and the paired RPS difference with its interval."""

    skill: float
    n: int
    mean: float
    low: float | None
    high: float | None


class CurveBin(BaseModel):
    """Forecast against observed share of one outcome, with the 95 % interval of the observed one."""

    since: float = Field(alias="from")
    until: float = Field(alias="to")
    n: int
    forecast: float
    observed: float
    low: float
    high: float
    consistent: bool


class Calibration(BaseModel):
    """Calibration error, the limit that a perfect model keeps 19 times in 20, and a curve by outcome."""

    error: float
    limit: float
    consistent: bool
    curves: dict[str, list[CurveBin]]


class PerformanceGroup(BaseModel):
    """Scores of a part of the settled forecasts."""

    competition: str
    window: str = Field(description="all, season, or last_100.")
    model_version: str = Field(description="A version, or all.")
    matches: int
    since: datetime = Field(alias="from")
    until: datetime = Field(alias="to")
    scores: dict[str, MeanScores | None] = Field(description="By forecaster: the model and each reference.")
    against: dict[str, Comparison] = Field(description="By reference.")
    calibration: Calibration


class PerformanceWeek(BaseModel):
    """Mean RPS by forecaster, of the week and of all matches so far."""

    week: Monday
    matches: int
    rps: dict[str, float | None]
    rps_so_far: dict[str, float | None]


class Performance(BaseModel):
    """Rolling scores of settled forecasts against the references."""

    as_of: datetime
    matches: int
    groups: list[PerformanceGroup]
    weeks: list[PerformanceWeek]
