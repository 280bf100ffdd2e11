"""Settings of the batch side."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from features.io.store import week_of
from features.matrix import FeatureGroup
from monitoring.conditions import Policy
from orchestration.local.instance import InstanceSettings
from orchestration.partitions import FIRST_WEEK, WEEKS_AHEAD

SEASON_BEGINS = 7
"""Month."""


class PipelineSettings(InstanceSettings):
    """What the pipeline needs on top of the shared settings."""

    promotion_policy: Policy = Field(
        Policy.MANUAL, description="manual: a person approves each promotion; auto: an open gate is enough."
    )
    features: FeatureGroup = Field(
        FeatureGroup.GOALS,
        description="What the model learns from: goals; shots (goals, shots and shots on target); or either with the "
        "odds before the match, goals+odds or shots+odds. A change takes effect at the next training.",
    )
    weeks_ahead: int = Field(4, ge=0, le=WEEKS_AHEAD, description="How many weeks after the current one are forecast.")
    first_week: date | None = Field(
        None,
        description="A day of the first week that is forecast and judged; default: where the season of the moment "
        "begins, or 2025-06-30 if that is earlier. Only a moment in the past has forecasts made for past weeks.",
    )
    evaluate_from: int = Field(
        2018,  # the bundled data then leaves three settled seasons to learn from, and seven to be judged on
        description="First season (its starting year) of the walk-forward evaluation.",
    )
    retraining_cool_down_days: int = Field(
        14, ge=0, description="An alarm asks for no retraining within so many days of the last one by an alarm."
    )
    retraining_cap: int = Field(
        4, ge=0, description="Retrainings that alarms may ask for within 90 days; beyond that a person has to look."
    )
    api_url: str = Field(
        "http://127.0.0.1:8000", description="Link to the REST API, as the browser reaches it; empty: no link."
    )
    step_pods: bool = Field(False, description="Each step of a training in a pod of its own; only on Kubernetes.")

    @property
    def first_published(self) -> str:
        """The Monday of the first week that is published."""
        if self.first_week is not None:
            return week_of(self.first_week)
        if self.as_of is None:
            return FIRST_WEEK
        year = self.as_of.year if self.as_of.month >= SEASON_BEGINS else self.as_of.year - 1
        return min(FIRST_WEEK, week_of(date(year, SEASON_BEGINS, 1)))
