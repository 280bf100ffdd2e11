"""Two runs publish one week: what has kicked off stays, and the slower run overwrites nothing newer."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from features.forecasts import SCHEMA
from features.io.registry import LoadedModel, ModelVersion
from features.io.sources import bundled
from features.io.store import Lake
from features.matches import as_known_at
from features.matrix import GOAL_FEATURES
from orchestration.steps.lake_tables import empty_table
from orchestration.steps.publication import ForecastRun
from orchestration.steps.weekly_forecasts import forecasts_of_week
from tests.support.fakes import EloModel

WEEK = "2026-03-09"
FRIDAY = datetime(2026, 3, 13, 12, tzinfo=UTC)
SUNDAY = datetime(2026, 3, 15, 15, tzinfo=UTC)
SLOW_PROCESS = """
import sys
from datetime import datetime

import pandas as pd
from features.io.store import Lake
from orchestration.steps.publication import ForecastRun

root, week, as_of, now, rows = sys.argv[1:]
matches = pd.DataFrame({"match_id": [], "status": [], "kick_off": pd.to_datetime([], utc=True)})
moment = datetime.fromisoformat(now)
run = ForecastRun(1, datetime.fromisoformat(as_of), matches, lambda: moment, lambda: True)
run.publish(Lake(root), week, pd.read_pickle(rows))
"""


@pytest.fixture(params=["folder", "s3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    if request.param == "folder":
        return Lake(str(tmp_path / "lake"))
    lake: Lake = request.getfixturevalue("s3_lake")
    return lake


@pytest.fixture(scope="module")
def season() -> pd.DataFrame:
    return bundled.load()


def forecasts_by(version: int, season: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """The week as a run of a version computes it that finds nothing published."""
    tags = {"trained_through": "2025-05-25T15:00:00+00:00"}
    model = LoadedModel(ModelVersion(version, "run", FRIDAY, tags), EloModel(), GOAL_FEATURES)
    return forecasts_of_week(model, as_known_at(season, as_of), WEEK, as_of, False, empty_table(SCHEMA))


def run_of(
    version: int, season: pd.DataFrame, as_of: datetime, now: datetime | None = None, superseded: bool = False
) -> ForecastRun:
    return ForecastRun(version, as_of, as_known_at(season, as_of), lambda: now or as_of, lambda: superseded)


def published(lake: Lake) -> pd.DataFrame:
    return lake.read_table("forecasts", WEEK, schema=SCHEMA)


def test_slow_older_run_after_kick_off_changes_no_row(lake: Lake, season: pd.DataFrame) -> None:
    """Version 1 began on Friday, version 2 published on Friday, and version 1 writes last, on Sunday."""
    slow = forecasts_by(1, season, FRIDAY)
    later = FRIDAY + timedelta(hours=1)
    run_of(2, season, later).publish(lake, WEEK, forecasts_by(2, season, later))
    before = published(lake)
    assert len(before) == 9
    kept = run_of(1, season, FRIDAY, SUNDAY, superseded=True).publish(lake, WEEK, slow)
    pd.testing.assert_frame_equal(published(lake), before)
    assert set(kept["model_version"]) == {2}


def test_slow_run_in_another_process_changes_no_row(season: pd.DataFrame, tmp_path: Path) -> None:
    """A run on another machine meets the same rows."""
    lake = Lake(str(tmp_path / "lake"))
    forecasts_by(1, season, FRIDAY).to_pickle(tmp_path / "rows")
    run_of(2, season, FRIDAY).publish(lake, WEEK, forecasts_by(2, season, FRIDAY))
    before = published(lake)
    arguments = (lake.root, WEEK, FRIDAY.isoformat(), SUNDAY.isoformat(), str(tmp_path / "rows"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-c", SLOW_PROCESS, *arguments], check=True, timeout=60, env=environment)
    pd.testing.assert_frame_equal(published(lake), before)


def test_run_that_is_overtaken_while_it_writes_sees_the_rows(s3_lake: Lake, season: pd.DataFrame) -> None:
    """Version 2 publishes between the moment at which version 1 reads the week and that at which it writes it."""
    slow, times = forecasts_by(1, season, FRIDAY), [FRIDAY]

    def now() -> datetime:
        if len(times) == 1:
            times.append(SUNDAY)
            run_of(2, season, FRIDAY).publish(s3_lake, WEEK, forecasts_by(2, season, FRIDAY))
        return times[-1]

    ForecastRun(1, FRIDAY, as_known_at(season, FRIDAY), now, lambda: True).publish(s3_lake, WEEK, slow)
    assert set(published(s3_lake)["model_version"]) == {2}


def test_forecast_is_not_added_after_its_kick_off(lake: Lake, season: pd.DataFrame) -> None:
    """It would bear a time of publication at which no reader could see it."""
    run_of(1, season, FRIDAY, SUNDAY).publish(lake, WEEK, forecasts_by(1, season, FRIDAY))
    rows = published(lake)
    assert len(rows)
    assert (rows["kick_off"] > SUNDAY).all()


def test_newer_run_of_one_version_is_not_overwritten(lake: Lake, season: pd.DataFrame) -> None:
    """The slower run has older ratings."""
    saturday = FRIDAY + timedelta(days=1, hours=12)
    slow = forecasts_by(1, season, FRIDAY)
    run_of(1, season, FRIDAY).publish(lake, WEEK, slow)
    run_of(1, season, saturday).publish(lake, WEEK, forecasts_by(1, season, saturday))
    newer = published(lake)
    assert (newer["published_at"] == saturday).any()
    run_of(1, season, FRIDAY, saturday).publish(lake, WEEK, slow)
    pd.testing.assert_frame_equal(published(lake), newer)


def test_promoted_version_replaces_forecasts_of_upcoming_matches(lake: Lake, season: pd.DataFrame) -> None:
    """The usual case: rows of matches that have begun stay, all others are by the new version."""
    run_of(1, season, FRIDAY).publish(lake, WEEK, forecasts_by(1, season, FRIDAY))
    run_of(2, season, SUNDAY).publish(lake, WEEK, forecasts_by(2, season, SUNDAY))
    rows = published(lake)
    begun = rows["kick_off"] <= SUNDAY
    assert set(rows.loc[begun, "model_version"]) == {1}
    assert set(rows.loc[~begun, "model_version"]) == {2}
    assert len(rows) == 9


def test_clock_that_was_set_back_replaces_later_forecasts(lake: Lake, season: pd.DataFrame) -> None:
    """A replay that starts again must not show what it published later."""
    saturday = FRIDAY + timedelta(days=1)
    run_of(1, season, saturday).publish(lake, WEEK, forecasts_by(1, season, saturday))
    run_of(1, season, FRIDAY).publish(lake, WEEK, forecasts_by(1, season, FRIDAY))
    assert (published(lake)["published_at"] == FRIDAY).all()


def test_two_candidates_keep_each_others_shadow_rows(lake: Lake, season: pd.DataFrame) -> None:
    """Neither run knew the other's rows when it computed its own."""
    first, second = (forecasts_by(version, season, FRIDAY) for version in (2, 3))
    run_of(2, season, FRIDAY).publish_shadow(lake, WEEK, first)
    run_of(3, season, FRIDAY).publish_shadow(lake, WEEK, second)
    rows = lake.read_table("shadow_forecasts", WEEK, schema=SCHEMA)
    assert rows["model_version"].value_counts().to_dict() == {2: 9, 3: 9}
