"""Which forecasts of a week may be written, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from features.errors import LeakageError
from features.forecasts import SCHEMA
from features.io.registry import LoadedModel, ModelVersion
from features.io.sources import bundled
from features.matches import ODDS, OUTCOMES, Status, as_known_at
from features.matrix import GOAL_FEATURES, ODDS_FEATURES
from orchestration.steps.lake_tables import empty_table
from orchestration.steps.weekly_forecasts import forecasts_of_week, matches_of_week
from tests.support.fakes import EloModel

WEEK = "2026-03-09"
FRIDAY = datetime(2026, 3, 13, 12, tzinfo=UTC)
SUNDAY = datetime(2026, 3, 15, 15, tzinfo=UTC)
"""Saturday's matches are over, Sunday's first have begun."""


def model(version: int = 1, through: str = "2025-05-25T15:00:00+00:00") -> LoadedModel:
    return LoadedModel(ModelVersion(version, "run", FRIDAY, {"trained_through": through}), EloModel(), GOAL_FEATURES)


@pytest.fixture(scope="module")
def season() -> pd.DataFrame:
    return bundled.load()


def published_on_friday(season: pd.DataFrame) -> pd.DataFrame:
    return forecasts_of_week(model(), as_known_at(season, FRIDAY), WEEK, FRIDAY, True, empty_table(SCHEMA))


def test_matches_to_come_are_forecast_with_all_that_is_known(season: pd.DataFrame) -> None:
    rows = published_on_friday(season)
    assert set(rows["match_id"]) == set(matches_of_week(season, WEEK)["match_id"])
    assert (rows["published_at"] == FRIDAY).all()
    assert (rows["features_as_of"] < rows["kick_off"]).all()


def test_rows_of_matches_that_have_begun_are_never_rewritten(season: pd.DataFrame) -> None:
    friday = published_on_friday(season)
    sunday = forecasts_of_week(model(2), as_known_at(season, SUNDAY), WEEK, SUNDAY, True, friday)
    begun = friday["kick_off"] <= SUNDAY
    assert begun.any()
    assert not begun.all()
    begun_rows = sunday[sunday["kick_off"] <= SUNDAY].reset_index(drop=True)
    pd.testing.assert_frame_equal(begun_rows, friday[begun].reset_index(drop=True), check_dtype=False)
    rest = sunday[sunday["kick_off"] > SUNDAY]
    assert (rest["model_version"] == 2).all()
    assert (rest["published_at"] == SUNDAY).all()


def test_replay_forecasts_a_past_week_as_of_its_monday(season: pd.DataFrame) -> None:
    monday = datetime(2025, 11, 3, tzinfo=UTC)
    late = forecasts_of_week(model(), as_known_at(season, FRIDAY), "2025-11-03", FRIDAY, True, empty_table(SCHEMA))
    then = forecasts_of_week(model(), as_known_at(season, monday), "2025-11-03", monday, True, empty_table(SCHEMA))
    assert len(late) > 0
    assert (late["published_at"] == monday).all()
    pd.testing.assert_frame_equal(late, then)


def test_live_nothing_is_forecast_after_the_fact(season: pd.DataFrame) -> None:
    rows = forecasts_of_week(model(), as_known_at(season, FRIDAY), "2025-11-03", FRIDAY, False, empty_table(SCHEMA))
    assert rows.empty
    assert list(rows.columns) == list(published_on_friday(season).columns)


def test_model_may_not_forecast_matches_it_was_trained_on(season: pd.DataFrame) -> None:
    knowing = model(3, "2026-03-05T20:00:00+00:00")
    with pytest.raises(LeakageError, match="such a forecast would be leakage"):
        forecasts_of_week(knowing, as_known_at(season, FRIDAY), "2025-11-03", FRIDAY, True, empty_table(SCHEMA))


def test_the_same_forecast_again_keeps_its_date_of_publication(season: pd.DataFrame) -> None:
    friday = published_on_friday(season)
    later = datetime(2026, 3, 14, 9, tzinfo=UTC)  # no new result since Friday
    again = forecasts_of_week(model(), as_known_at(season, later), WEEK, later, True, friday)
    pd.testing.assert_frame_equal(again, friday, check_dtype=False)


def test_a_postponed_match_leaves_the_week_it_was_announced_for(season: pd.DataFrame) -> None:
    friday = published_on_friday(season)
    gone = friday["match_id"].iloc[-1]
    moved = as_known_at(season, FRIDAY)
    moved.loc[moved["match_id"] == gone, "status"] = Status.POSTPONED.value
    rows = forecasts_of_week(model(), moved, WEEK, FRIDAY, True, friday)
    assert gone not in set(rows["match_id"])
    assert len(rows) == len(friday) - 1


def test_a_week_without_matches_is_an_empty_table(season: pd.DataFrame) -> None:
    assert forecasts_of_week(
        model(), as_known_at(season, FRIDAY), "2025-07-07", FRIDAY, True, empty_table(SCHEMA)
    ).empty


class Odds:
    """A model that repeats the odds, and gives equal probabilities without them."""

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        odds = np.nan_to_num(np.insert(x, 1, 0.0, axis=1))
        return np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)


def test_replayed_monday_does_not_know_fridays_odds(
    season: pd.DataFrame,
) -> None:
    odds = dict(zip(ODDS, (1.5, 4.0, 6.0), strict=True))
    priced = season.assign(**odds, odds_known_at=(season["kick_off"] - pd.Timedelta(hours=36)))
    version = ModelVersion(1, "run", FRIDAY, {"trained_through": "2025-05-25T15:00:00+00:00"})
    looks = LoadedModel(version, Odds(), ODDS_FEATURES)
    matches = as_known_at(priced, FRIDAY)
    rows = forecasts_of_week(looks, matches, WEEK, FRIDAY, True, empty_table(SCHEMA))
    to_come = rows[rows["kick_off"] > FRIDAY]
    near = to_come["kick_off"] <= FRIDAY + timedelta(hours=36)
    assert near.any()
    assert not near.all()
    assert (to_come.loc[near, "home"] > 0.6).all()
    assert (to_come.loc[near, list(ODDS)] == list(odds.values())).all(axis=None)
    np.testing.assert_allclose(to_come.loc[~near, list(OUTCOMES)], 1 / 3)
    past = forecasts_of_week(looks, matches, "2025-11-03", FRIDAY, True, empty_table(SCHEMA))
    unknown = past["kick_off"] > datetime(2025, 11, 4, 12, tzinfo=UTC)  # the first matches had odds on Monday too
    assert unknown.sum() >= 9
    np.testing.assert_allclose(past.loc[unknown, list(OUTCOMES)], 1 / 3)
    assert past.loc[unknown, "odds_home"].isna().all()
    assert past.loc[~unknown, "odds_home"].notna().all()
