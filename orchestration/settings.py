"""Settings of the batch side."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from features.io.settings import Settings


class PromotionPolicy(StrEnum):
    """Who has the last word on a promotion once every other condition is met."""

    MANUAL = "manual"
    AUTO = "auto"


class PipelineSettings(Settings):
    """What the pipeline needs on top of the shared settings."""

    promotion_policy: PromotionPolicy = Field(
        PromotionPolicy.MANUAL, description="manual: a person approves each promotion; auto: an open gate is enough."
    )
    weeks_ahead: int = Field(4, ge=0, le=40, description="How many weeks after the current one are forecast.")
    evaluate_from: int = Field(
        2018,  # the bundled data then leaves three settled seasons to learn from, and seven to be judged on
        description="First season (its starting year) of the walk-forward evaluation.",
    )
