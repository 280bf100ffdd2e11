"""The tables that are checked before matches are published, by the asset `matches` and by `touchline inspect`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import pandas as pd

from features.errors import CorruptArtefactError, NotPublishedError
from features.io.store import Lake
from features.matches import SCHEMA, as_known_at, conform
from monitoring.checks.matches import fixtures_of, published_results, results_of
from monitoring.checks.suites import Suite


def published_matches(lake: Lake, competition: str) -> pd.DataFrame:
    """The published matches of a competition; an empty table if there are none that could be lost."""
    try:
        return conform(lake.read_table("matches", competition, schema=SCHEMA))
    except (NotPublishedError, CorruptArtefactError):
        return conform(SCHEMA.empty_table().to_pandas())


def tables_to_check(
    loaded: pd.DataFrame, published: pd.DataFrame, sources: Collection[str], as_of: datetime, replaying: bool
) -> Mapping[Suite, pd.DataFrame]:
    """The rows of each suite, from all matches of the sources and the published ones that must be kept.

    A replay hides the results of later matches on purpose. Live, such results are errors that the checks must see.
    """
    table = as_known_at(loaded, as_of)
    return {
        Suite.RESULTS: results_of(table if replaying else loaded),
        Suite.PUBLISHED: published_results(as_known_at(published, as_of), table, sources),
        Suite.FIXTURES: fixtures_of(table),
    }
