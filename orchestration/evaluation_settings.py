"""Settings of the evaluation, which `touchline inspect` reads too, without loading Dagster."""

from __future__ import annotations

from pydantic import Field

from features.io.settings import Settings
from features.matrix import FeatureGroup


class EvaluationSettings(Settings):
    """What a model learns from and which seasons judge it, beside the shared settings."""

    features: FeatureGroup = Field(
        FeatureGroup.GOALS,
        description="Model inputs: goals; shots (goals, shots and shots on target); market (goals, and where they are "
        "known shots and the odds of earlier matches); or any of them with the odds before the match: goals+odds, "
        "shots+odds, market+odds. A change takes effect at the next training.",
    )

    evaluation_first_season: int = Field(
        2018,  # of the bundled data, three seasons after burn-in are left for training, and seven for evaluation
        description="First season (its starting year) of the walk-forward evaluation.",
    )
