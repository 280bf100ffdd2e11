"""All data checks by table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from monitoring.checks import forecasts, matches, ratings
from monitoring.checks.spec import CheckSpec, DerivedColumn


class Suite(StrEnum):
    """Tables with data checks."""

    RESULTS = "results"
    PUBLISHED = "published"
    FIXTURES = "fixtures"
    FEATURES = "features"
    STATES = "states"
    FORECASTS = "forecasts"
    SETTLED = "settled"


def check_specs(suite: Suite) -> tuple[CheckSpec, ...]:
    """Return all checks of a suite."""
    return _CHECKS[suite]


def derived_columns(suite: Suite) -> Mapping[str, DerivedColumn]:
    """Return functions that compute the columns that the checks of a suite need but the table lacks."""
    return _DERIVED.get(suite, {})


_CHECKS: Mapping[Suite, tuple[CheckSpec, ...]] = {
    Suite.RESULTS: matches.RESULT_CHECKS,
    Suite.PUBLISHED: matches.PUBLISHED_CHECKS,
    Suite.FIXTURES: matches.FIXTURE_CHECKS,
    Suite.FEATURES: ratings.FEATURE_CHECKS,
    Suite.STATES: ratings.STATE_CHECKS,
    Suite.FORECASTS: forecasts.FORECAST_CHECKS,
    Suite.SETTLED: forecasts.SETTLED_CHECKS,
}

_DERIVED: Mapping[Suite, Mapping[str, DerivedColumn]] = {
    Suite.RESULTS: matches.RESULT_DERIVED,
    Suite.FIXTURES: matches.FIXTURE_DERIVED,
    Suite.STATES: ratings.STATE_DERIVED,
    Suite.FORECASTS: forecasts.FORECAST_DERIVED,
    Suite.SETTLED: forecasts.SETTLED_DERIVED,
}
