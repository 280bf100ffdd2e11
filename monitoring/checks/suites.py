"""All claims by the table that they are about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from monitoring.checks import forecasts, matches, ratings
from monitoring.checks.spec import Claim, Derived


class Suite(StrEnum):
    """Tables about which something is claimed."""

    RESULTS = "results"
    PUBLISHED = "published"
    FIXTURES = "fixtures"
    FEATURES = "features"
    STATES = "states"
    FORECASTS = "forecasts"
    SETTLED = "settled"


def claims(suite: Suite) -> tuple[Claim, ...]:
    """All claims of a suite."""
    return _CLAIMS[suite]


def derived_columns(suite: Suite) -> Mapping[str, Derived]:
    """Columns that claims of the suite are about and that the table does not have, by how they are made."""
    return _DERIVED.get(suite, {})


_CLAIMS: Mapping[Suite, tuple[Claim, ...]] = {
    Suite.RESULTS: matches.RESULT_CLAIMS,
    Suite.PUBLISHED: matches.PUBLISHED_CLAIMS,
    Suite.FIXTURES: matches.FIXTURE_CLAIMS,
    Suite.FEATURES: ratings.FEATURE_CLAIMS,
    Suite.STATES: ratings.STATE_CLAIMS,
    Suite.FORECASTS: forecasts.FORECAST_CLAIMS,
    Suite.SETTLED: forecasts.SETTLED_CLAIMS,
}

_DERIVED: Mapping[Suite, Mapping[str, Derived]] = {
    Suite.RESULTS: matches.RESULT_DERIVED,
    Suite.FIXTURES: matches.FIXTURE_DERIVED,
    Suite.STATES: ratings.STATE_DERIVED,
    Suite.FORECASTS: forecasts.FORECAST_DERIVED,
    Suite.SETTLED: forecasts.SETTLED_DERIVED,
}
