"""Settings of the pipeline."""

from __future__ import annotations

from datetime import date

from pydantic import AliasChoices, Field

from features.io.store import week_of
from monitoring.conditions import Policy
from orchestration.dagster_instance_settings import InstanceSettings
from orchestration.evaluation_settings import EvaluationSettings
from orchestration.partitions import FIRST_WEEK, WEEKS_AHEAD

SEASON_START_MONTH = 7


class PipelineSettings(InstanceSettings, EvaluationSettings):
    """Settings of the pipeline, beside the shared ones."""

    promotion_policy: Policy = Field(
        Policy.MANUAL, description="manual: a person approves each promotion; auto: no approval is needed."
    )
    forecast_horizon_weeks: int = Field(
        4, ge=0, le=WEEKS_AHEAD, description="Number of weeks to forecast after the current one."
    )
    first_published_week: date | None = Field(
        None,
        description="A day in the first week to forecast and score. Default: 2025-06-30; with TOUCHLINE_AS_OF in an "
        "earlier season, that season's first week. Past weeks are forecast only when TOUCHLINE_AS_OF is in the past.",
    )
    retraining_cool_down_days: int = Field(
        14, ge=0, description="Minimum number of days between two retrainings that alarms start."
    )
    max_alarm_retrainings: int = Field(
        4, ge=0, description="Maximum number of retrainings that alarms start within 90 days."
    )
    public_api_url: str = Field(
        "http://127.0.0.1:8000",
        validation_alias=AliasChoices("TOUCHLINE_PUBLIC_API_URL", "TOUCHLINE_API_URL"),  # the latter up to version 0.1
        description="Address of the REST API as browsers reach it, for links; empty: no links.",
    )
    run_first_pipeline: bool = Field(
        False, description="Launch the first refresh of every competition and the first training automatically."
    )
    k8s_step_pods: bool = Field(False, description="Run each step of a training in its own pod (Kubernetes only).")

    @property
    def first_published(self) -> str:
        """The Monday of the first week that is published."""
        if self.first_published_week is not None:
            return week_of(self.first_published_week)
        if self.as_of is None:
            return FIRST_WEEK
        year = self.as_of.year if self.as_of.month >= SEASON_START_MONTH else self.as_of.year - 1
        return min(FIRST_WEEK, week_of(date(year, SEASON_START_MONTH, 1)))
