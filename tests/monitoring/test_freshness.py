"""Freshness tells what is in the lake and what is missing from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pandas as pd

from features.io.sources import bundled
from features.matches import Status, as_known_at
from monitoring.freshness import FORECAST_REQUIRED_WITHIN, freshness_report

AS_OF = bundled.REPLAY_AS_OF
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PREMIER_LEAGUE = bundled.COMPETITION
PRODUCTION = 3


def published(matches: pd.DataFrame) -> pd.DataFrame:
    upcoming = matches.loc[matches["status"] == Status.SCHEDULED, ["match_id"]]
    last_played = matches.loc[matches["status"] == Status.PLAYED, "kick_off"].max()
    return upcoming.assign(
        published_at=pd.Timestamp(AS_OF) - pd.Timedelta(days=1), features_as_of=last_played, model_version=PRODUCTION
    )


def test_a_fresh_lake_misses_nothing() -> None:
    matches = as_known_at(bundled.load(), AS_OF)
    document = freshness_report(matches, published(matches), 280, {}, AS_OF, NOW, PRODUCTION)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    counts = document["competitions"][PREMIER_LEAGUE]
    assert [counts[name] for name in ("overdue", "unlisted", "without_forecast", "stale", "quarantined")] == [0] * 5
    assert counts["results"] + counts["fixtures"] == len(matches)
    assert document["forecasts"]["settled"] == 280
    assert document["written_at"] == NOW.isoformat()


def test_results_that_stop_coming_are_overdue_unless_postponed() -> None:
    matches = as_known_at(bundled.load(), AS_OF)
    later = AS_OF + timedelta(days=9)
    silent = freshness_report(matches, published(matches), 0, {}, later, NOW, PRODUCTION)["competitions"][
        PREMIER_LEAGUE
    ]["overdue"]
    assert silent >= 10
    late = (matches["status"] == Status.SCHEDULED) & (matches["kick_off"] < later)
    postponed = matches.assign(status=matches["status"].mask(late, Status.POSTPONED.value))
    assert (
        freshness_report(postponed, published(matches), 0, {}, later, NOW, PRODUCTION)["competitions"][PREMIER_LEAGUE][
            "overdue"
        ]
        == 0
    )


def test_near_fixtures_without_forecast_are_counted_and_far_ones_are_not() -> None:
    matches = as_known_at(bundled.load(), AS_OF)
    none = published(matches).iloc[:0]
    near = matches["kick_off"].between(AS_OF, AS_OF + FORECAST_REQUIRED_WITHIN).sum()
    document = freshness_report(matches, none, 0, {PREMIER_LEAGUE: 4, "eng-championship": 2}, AS_OF, NOW, PRODUCTION)
    assert document["competitions"][PREMIER_LEAGUE]["without_forecast"] == near > 0
    assert document["competitions"][PREMIER_LEAGUE]["quarantined"] == 4
    assert document["competitions"]["eng-championship"] == {
        "results": 0,
        "fixtures": 0,
        "last_result": None,
        "overdue": 0,
        "unlisted": 0,
        "without_forecast": 0,
        "stale": 0,
        "quarantined": 2,
    }
    assert document["forecasts"]["last_published_at"] is None


def stale(matches: pd.DataFrame, forecasts: pd.DataFrame) -> int:
    return freshness_report(matches, forecasts, 0, {}, AS_OF, NOW, PRODUCTION)["competitions"][PREMIER_LEAGUE]["stale"]


def test_forecasts_made_before_the_newest_result_are_stale() -> None:
    """Forecasts of near matches are stale if there are newer results than they use."""
    matches = as_known_at(bundled.load(), AS_OF)
    near = matches[matches["kick_off"].between(AS_OF, AS_OF + FORECAST_REQUIRED_WITHIN)]
    months_old = published(matches).assign(features_as_of=pd.Timestamp(AS_OF) - pd.Timedelta(days=60))
    assert stale(matches, months_old) == len(near) > 0
    gap = matches[(matches["status"] == Status.PLAYED)].tail(1)
    before_the_last_result = published(matches).assign(features_as_of=gap["kick_off"].iloc[0] - pd.Timedelta(minutes=1))
    clubs = set(gap[["home_team", "away_team"]].to_numpy().ravel())
    theirs = near["home_team"].isin(clubs) | near["away_team"].isin(clubs)
    assert stale(matches, before_the_last_result) >= theirs.sum() > 0


def test_before_the_first_result_of_a_competition_no_forecast_is_stale() -> None:
    matches = as_known_at(bundled.load(), AS_OF)
    new = matches[matches["status"] == Status.SCHEDULED]
    rows = new[["match_id"]].assign(
        published_at=pd.Timestamp(AS_OF), features_as_of=pd.Timestamp("2025-05-25", tz="UTC"), model_version=PRODUCTION
    )
    assert stale(new, rows) == 0


def test_only_the_clubs_of_the_match_make_its_forecast_stale() -> None:
    matches = as_known_at(bundled.load(), AS_OF)
    near = matches[matches["kick_off"].between(AS_OF, AS_OF + FORECAST_REQUIRED_WITHIN)]
    clubs = set(near[["home_team", "away_team"]].iloc[0])
    played = (matches["status"] == Status.PLAYED) & (matches["season"] == "2025-26")
    theirs = matches["home_team"].isin(clubs) | matches["away_team"].isin(clubs)
    newest_of_others = matches.loc[played & ~theirs, "kick_off"].max()
    newest_of_theirs = matches.loc[played & theirs, "kick_off"].max()
    rows = published(matches).query("match_id == @near.match_id.iloc[0]")
    assert newest_of_others != newest_of_theirs
    assert stale(matches, rows.assign(features_as_of=newest_of_theirs)) == 0
    assert stale(matches, rows.assign(features_as_of=newest_of_theirs - pd.Timedelta(seconds=1))) == 1


def test_forecasts_of_a_replaced_version_are_stale() -> None:
    """Forecasts of near matches are stale if their model version was replaced."""
    matches = as_known_at(bundled.load(), AS_OF)
    rows = published(matches)
    near = matches.loc[matches["kick_off"].between(AS_OF, AS_OF + FORECAST_REQUIRED_WITHIN), "match_id"]
    one_left = rows.assign(model_version=rows["model_version"].where(rows["match_id"] != near.iloc[0], PRODUCTION - 1))
    assert stale(matches, one_left) == 1
    document = freshness_report(matches, one_left, 0, {}, AS_OF, NOW, None)
    assert document["competitions"][PREMIER_LEAGUE]["stale"] == 0, "nothing is in production"


def test_of_a_moved_match_the_forecast_published_last_counts() -> None:
    matches = as_known_at(bundled.load(), AS_OF)
    rows = published(matches)
    older = rows.assign(
        published_at=rows["published_at"] - pd.Timedelta(days=30), features_as_of=pd.Timestamp("2025-09-01", tz="UTC")
    )
    assert stale(matches, pd.concat([rows, older])) == 0
    assert freshness_report(matches, pd.concat([rows, older]), 0, {}, AS_OF, NOW, PRODUCTION)["forecasts"][
        "published"
    ] == len(rows)


def test_lost_fixtures_show_as_matches_missing_from_the_season() -> None:
    """A feed that lost its fixtures is noticed by the matches that the season lacks."""
    matches = as_known_at(bundled.load(), AS_OF)
    season = matches["season"] == "2025-26"
    to_come = matches["kick_off"] > AS_OF
    lost = matches[~(season & to_come)]

    def unlisted(table: pd.DataFrame) -> int:
        return freshness_report(table, published(table), 0, {}, AS_OF, NOW, PRODUCTION)["competitions"][PREMIER_LEAGUE][
            "unlisted"
        ]

    assert unlisted(lost) == (season & to_come).sum() > 50
    next_round_only = matches[~(season & (matches["kick_off"] > AS_OF + timedelta(days=7)))]
    assert unlisted(next_round_only) == 0, "a feed that lists only the next days is healthy"
    assert unlisted(matches[~season]) == 0, "a season that is over lacks nothing"
