"""Settings of the pipeline."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from features.io.store import week_of
from features.matrix import FeatureGroup
from monitoring.conditions import Policy
from orchestration.instance_settings import InstanceSettings
from orchestration.partitions import FIRST_WEEK, WEEKS_AHEAD

SEASON_START_MONTH = 7


class PipelineSettings(InstanceSettings):
    """Settings of the pipeline, beside the shared ones."""

    promotion_policy: Policy = Field(
        Policy.MANUAL, description="manual: a person approves each promotion; auto: an open gate is sufficient."
    )
    features: FeatureGroup = Field(
        FeatureGroup.GOALS,
        description="Model input: goals; shots (goals, shots and shots on target); or either with pre-match odds, "
        "goals+odds or shots+odds. A change takes effect at the next training.",
    )
    weeks_ahead: int = Field(4, ge=0, le=WEEKS_AHEAD, description="How many weeks after the current one are forecast.")
    first_week: date | None = Field(
        None,
        description="A day of the first week that is forecast and evaluated; default: the start of the season that the "
        "clock is set to, or 2025-06-30 if that is earlier. Only a clock set to the past forecasts past weeks.",
    )
    evaluate_from: int = Field(
        2018,  # leaves three seasons of the bundled data after burn-in for training, and seven for evaluation
        description="First season (its starting year) of the walk-forward evaluation.",
    )
    retraining_cool_down_days: int = Field(
        14, ge=0, description="Days after a retraining by an alarm in which alarms request no other one."
    )
    retraining_cap: int = Field(
        4,
        ge=0,
        description="Most retrainings that alarms may request within 90 days; after that a person has to investigate.",
    )
    api_url: str = Field(
        "http://127.0.0.1:8000", description="Link to the REST API as the browser reaches it; empty: no link."
    )
    step_pods: bool = Field(False, description="Run each step of a training in its own pod; only on Kubernetes.")

    @property
    def first_published(self) -> str:
        """The Monday of the first week that is published."""
        if self.first_published_week is not None:
            return week_of(self.first_published_week)
        if self.as_of is None:
            return FIRST_WEEK
        year = self.as_of.year if self.as_of.month >= SEASON_START_MONTH else self.as_of.year - 1
        return min(FIRST_WEEK, week_of(date(year, SEASON_START_MONTH, 1)))
