"""Freshness says what is in the lake, and what should be there and is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pandas as pd

from features.io.sources import bundled
from features.matches import Status, as_known_at
from monitoring.freshness import HORIZON, freshness

AS_OF = bundled.REPLAY_AS_OF
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PREMIER_LEAGUE = bundled.COMPETITION


def published(matches: pd.DataFrame) -> pd.DataFrame:
    upcoming = matches.loc[matches["status"] == Status.SCHEDULED, ["match_id"]]
    return upcoming.assign(published_at=pd.Timestamp(AS_OF) - pd.Timedelta(days=1))


def test_a_fresh_lake_misses_nothing() -> None:
    matches = as_known_at(bundled.load(), AS_OF)
    document = freshness(matches, published(matches), 280, {}, AS_OF, NOW)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    one = document["competitions"][PREMIER_LEAGUE]
    assert one["overdue"] == one["without_forecast"] == one["quarantined"] == 0
    assert one["results"] + one["fixtures"] == len(matches)
    assert document["forecasts"]["settled"] == 280
    assert document["written_at"] == NOW.isoformat()


def test_results_that_stop_coming_are_overdue_unless_postponed() -> None:
    matches = as_known_at(bundled.load(), AS_OF)
    later = AS_OF + timedelta(days=9)
    silent = freshness(matches, published(matches), 0, {}, later, NOW)["competitions"][PREMIER_LEAGUE]["overdue"]
    assert silent >= 10
    late = (matches["status"] == Status.SCHEDULED) & (matches["kick_off"] < later)
    postponed = matches.assign(status=matches["status"].mask(late, Status.POSTPONED.value))
    assert freshness(postponed, published(matches), 0, {}, later, NOW)["competitions"][PREMIER_LEAGUE]["overdue"] == 0


def test_near_fixtures_without_forecast_are_counted_and_far_ones_are_not() -> None:
    matches = as_known_at(bundled.load(), AS_OF)
    none = published(matches).iloc[:0]
    near = matches["kick_off"].between(AS_OF, AS_OF + HORIZON).sum()
    document = freshness(matches, none, 0, {PREMIER_LEAGUE: 4, "eng-championship": 2}, AS_OF, NOW)
    assert document["competitions"][PREMIER_LEAGUE]["without_forecast"] == near > 0
    assert document["competitions"][PREMIER_LEAGUE]["quarantined"] == 4
    assert document["competitions"]["eng-championship"] == {
        "results": 0,
        "fixtures": 0,
        "last_result": None,
        "overdue": 0,
        "without_forecast": 0,
        "quarantined": 2,
    }
    assert document["forecasts"]["last_published_at"] is None
