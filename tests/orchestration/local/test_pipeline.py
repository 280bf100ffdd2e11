"""The whole chain in this process, on the bundled data."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from features.errors import InvalidInputError, TouchlineError
from features.forecasts import PUBLISHED, probabilities, states_of
from features.io.registry import PRODUCTION, STAGING
from features.io.sources import bundled
from features.io.store import Lake
from features.matches import OUTCOMES, RESULT_COLUMNS, SCHEMA, Status
from features.rating_history import STATE_COLUMNS
from monitoring.settlement import SCHEMA as SETTLED
from orchestration._dagster_internals import RUN_LOCATION
from orchestration.local.pipeline import Pipeline
from orchestration.steps import lake_tables
from orchestration.steps.training import IDENTITY, TrainingOptions, content_hash, train
from tests.support.installation import copy_of
from tests.support.mlflow_runs import run_metrics, training_rows

pytestmark = pytest.mark.timeout(900)  # the first test sets up a whole installation

AS_OF = bundled.REPLAY_AS_OF


def test_each_match_within_the_horizon_has_one_forecast(installed) -> None:
    """Every match of the season has one, up to four weeks ahead."""
    rows = installed.forecasts()
    season = bundled.load().query("season == '2025-26'")
    due = season[season["kick_off"] < pd.Timestamp("2026-04-13", tz="UTC")]
    assert sorted(rows["match_id"]) == sorted(due["match_id"])
    np.testing.assert_allclose(rows[list(OUTCOMES)].sum(axis=1), 1)


def test_nothing_published_knows_what_came_later(installed) -> None:
    matches = installed.lake.read_table("matches", bundled.COMPETITION)
    later = matches[matches["kick_off"] > AS_OF]
    assert (later["status"] == Status.SCHEDULED).all()
    assert later[list(RESULT_COLUMNS)].isna().all(axis=None)
    rows = installed.forecasts()
    assert (rows["trained_through"] < rows["kick_off"]).all()
    assert (rows["features_as_of"] < rows["kick_off"]).all()
    assert (rows["published_at"] < rows["kick_off"]).all()


def test_batch_and_online_forecasts_are_equal(installed) -> None:
    """Online forecasts from the published team states equal the batch ones."""
    production = installed.registry.by_alias(PRODUCTION)
    rows = installed.forecasts().query("kick_off > @AS_OF").reset_index(drop=True)
    states = installed.lake.read_table("team_states", bundled.COMPETITION)
    home, away = (
        states_of(states, rows[f"{side}_team"], rows["competition"])[list(STATE_COLUMNS)].to_numpy(float)
        for side in ("home", "away")
    )
    online = probabilities(installed.registry.load(production), home, away, np.zeros(len(rows), bool))
    assert len(rows) > 20
    np.testing.assert_allclose(online, rows[list(OUTCOMES)], rtol=0, atol=1e-9)


def test_first_good_version_is_in_production_with_a_reason(installed) -> None:
    production, staging = installed.registry.by_alias(PRODUCTION), installed.registry.by_alias(STAGING)
    assert production.version == staging.version == 1
    assert production.tags["promoted_because"]
    assert len(production.tags["data_digest"]) == 16
    assert production.tags["code_revision"]
    summary = installed.lake.read_json("reports/evaluation/version=1/summary.json")
    assert summary["scores"]["model"]["rps"] < summary["scores"]["elo"]["rps"] < summary["scores"]["base"]["rps"]
    logged = run_metrics(installed.registry, production)
    assert {"rps", "log_loss", "brier", "ece", "elo_rps", "base_rps", "skill"} <= set(logged)


def test_registered_model_can_be_reproduced_from_its_tags(installed) -> None:
    version = installed.registry.by_alias(PRODUCTION)
    tables = lake_tables.matches(installed.lake), lake_tables.features(installed.lake)
    recipe = TrainingOptions(**json.loads(version.tags["recipe"]))
    again = train(*tables, recipe, datetime.fromisoformat(version.tags["trained_as_of"]), "lake")
    assert {name: again.tags[name] for name in IDENTITY} == {name: version.tags[name] for name in IDENTITY}
    x = again.dataset[list(recipe.features)].to_numpy(float)
    registered = installed.registry.load(version).predict_proba(x)
    np.testing.assert_array_equal(again.estimator.predict_proba(x), registered)


def test_version_can_be_refitted_without_the_lake(installed) -> None:
    """The lake's tables are overwritten every day, but the registry keeps the rows that a model learnt from."""
    version = installed.registry.by_alias(PRODUCTION)
    recipe, dataset = TrainingOptions(**json.loads(version.tags["recipe"])), training_rows(installed.registry, version)
    assert content_hash(dataset.drop(columns="season")) == version.tags["data_digest"]
    x = dataset[list(recipe.features)].to_numpy(float)
    registered = installed.registry.load(version).predict_proba(x)
    refitted = recipe.build_model().fit(x, dataset["outcome"].to_numpy(np.int64))
    np.testing.assert_array_equal(refitted.predict_proba(x), registered)


def test_the_final_table_is_simulated_from_the_same_model(installed) -> None:
    table = installed.lake.read_table("season_forecast", bundled.COMPETITION)
    assert len(table) == 20
    assert table["p_title"].sum() == pytest.approx(1)
    assert table["p_relegation"].sum() == pytest.approx(3)
    assert (table["expected_points"] >= table["points"]).all()
    assert set(table["season"]) == {"2025-26"}
    assert set(table["model_version"]) == {1}
    assert (table["features_as_of"] > pd.Timestamp("2026-03-01", tz="UTC")).all()
    assert (table["features_as_of"] < pd.Timestamp(AS_OF)).all()


def test_the_runs_are_seen_in_the_dagster_ui(installed) -> None:
    with installed.instance() as instance:
        runs = instance.get_runs()
        assert {run.job_name for run in runs} >= {"refresh_matches", "train_model", "publish_forecasts"}
        assert all(run.is_success for run in runs)
        listed = dg.RunsFilter(job_name="publish_forecasts", tags=RUN_LOCATION)
        assert instance.get_runs(listed), "the page of a job finds its runs by these tags"
        weeks = instance.get_materialized_partitions(dg.AssetKey("forecasts"))
        assert {"2025-08-11", "2026-03-09", "2026-04-06"} <= weeks
        metadata = instance.get_latest_materialization_event(dg.AssetKey("forecasts")).asset_materialization.metadata
        assert {"dagster/partition_row_count", "dagster/column_schema", "sample"} <= set(metadata)


def test_match_that_cannot_be_scored_does_not_rerun_settlement(installed, tmp_path) -> None:
    lake, week = Lake(str(tmp_path / "lake")), "2026-03-02"
    shutil.copytree(installed.settings.lake_root, lake.root)
    settings = installed.settings.model_copy(update={"home": tmp_path, "lake": lake.root})
    settled = lake.read_table("settled_forecasts", week, schema=SETTLED)
    forecasts = lake.read_table("forecasts", week)
    lake.write_table("settled_forecasts", week, settled.iloc[1:], schema=SETTLED)
    with dg.DagsterInstance.ephemeral() as instance:
        pipeline = Pipeline(settings, instance, lambda _: None)
        assert pipeline._unsettled(AS_OF)
        late = forecasts["match_id"] == settled["match_id"].iloc[0]
        after = forecasts["published_at"].mask(late, forecasts["kick_off"] + pd.Timedelta(hours=1))
        lake.write_table("forecasts", week, forecasts.assign(published_at=after), schema=PUBLISHED)
        assert not pipeline._unsettled(AS_OF), "it was published after kick-off, so it is never scored"


def test_matches_replaced_within_a_second_are_noticed_on_s3(installed, s3_lake, tmp_path) -> None:
    """Times on S3 are whole seconds, so they cannot show which of two files is newer."""
    local, running = Path(installed.settings.lake_root), "2026-03-09"
    for path in local.rglob("*.*"):
        s3_lake.write_bytes(str(path.relative_to(local)), path.read_bytes())
    settings = installed.settings.model_copy(update={"home": tmp_path, "lake": s3_lake.root, "as_of": AS_OF})
    with dg.DagsterInstance.ephemeral() as instance:
        pipeline = Pipeline(settings, instance, lambda _: None)
        pipeline._weekly("publish_forecasts", "forecasts", running)
        assert pipeline._first_stale_week(AS_OF) is None
        matches = s3_lake.read_table("matches", bundled.COMPETITION, schema=SCHEMA)
        weeks = [week for week in s3_lake.partitions("forecasts") if week >= running]
        forecasts = {week: s3_lake.read_table("forecasts", week, schema=PUBLISHED) for week in weeks}
        written = [("matches", bundled.COMPETITION), *(("forecasts", week) for week in weeks)]
        for _ in range(20):
            s3_lake.write_table("matches", bundled.COMPETITION, matches.iloc[1:], SCHEMA)
            for week in weeks:
                s3_lake.write_table("forecasts", week, forecasts[week], PUBLISHED)
            seconds = {s3_lake.table_fingerprint(*partition).modified_ns for partition in written}
            if len(seconds) == 1:
                break
        assert len(seconds) == 1, "all within a second, in none of 20 tries"
        assert pipeline._first_stale_week(AS_OF) is not None


@pytest.mark.slow
def test_second_start_runs_only_what_is_outdated(installed, first_start, tmp_path) -> None:
    """At the same time it runs nothing, and two weeks later only what is new."""
    home = copy_of(installed, tmp_path / "home", installed.settings.promotion_policy).at(AS_OF)
    assert any("trained" in line for line in first_start)
    before = home.forecasts()
    assert len(home.run()) == 1, "a second start only prints the time of the clock"
    two_weeks_later = AS_OF + timedelta(weeks=2)
    later = home.at(two_weeks_later)
    printed = later.run()
    assert not any("trained" in line for line in printed)
    drift = set(re.findall(r"drift of the week (\S+)", "\n".join(printed)))
    assert {week.rstrip(":") for week in drift} == {"2026-03-09", "2026-03-16"}, "no week is jumped over"
    after = later.forecasts().set_index("match_id")
    history = before[before["kick_off"] <= AS_OF].set_index("match_id")
    pd.testing.assert_frame_equal(after.loc[history.index], history)
    # forecasts of matches played between the two times stay as they were published
    played = before[(before["kick_off"] > AS_OF) & (before["kick_off"] <= two_weeks_later)]
    pd.testing.assert_frame_equal(after.loc[played["match_id"]], played.set_index("match_id"))
    to_come = after[after["kick_off"] > two_weeks_later]
    assert (to_come["features_as_of"] > pd.Timestamp(AS_OF)).all()


def test_clock_before_the_first_week_is_refused(fresh) -> None:
    home = fresh(datetime(2024, 3, 1, tzinfo=UTC))
    home.settings = home.settings.model_copy(update={"first_published_week": date(2025, 7, 1)})
    with pytest.raises(InvalidInputError, match=r"2024-03-01 is before 2025-06-30.*TOUCHLINE_FIRST_PUBLISHED_WEEK"):
        home.run()


@pytest.mark.slow
def test_a_season_of_the_past_is_replayed_from_its_first_week_on(fresh) -> None:
    as_of = datetime(2024, 3, 1, tzinfo=UTC)
    home = fresh(as_of)
    home.run()
    rows, season = home.forecasts(), bundled.load().query("season == '2023-24'")
    due = season[season["kick_off"] < pd.Timestamp("2024-04-01", tz="UTC")]
    assert sorted(rows["match_id"]) == sorted(due["match_id"])
    assert (rows["trained_through"] < pd.Timestamp("2023-07-01", tz="UTC")).all()
    assert (rows["features_as_of"] < rows["kick_off"]).all()
    assert (rows["published_at"] <= as_of).all()
    played = season[season["kick_off"] < pd.Timestamp(as_of)]
    assert set(lake_tables.settled_forecasts(home.lake)["match_id"]) == set(played["match_id"])
    assert home.lake.fingerprint("reports/drift/week=2024-02-19/summary.json") is not None
    assert len(home.run()) == 1, "a second start only prints the time of the clock"


def test_unreadable_source_leaves_the_published_table(fresh, monkeypatch) -> None:
    """The failure is reported in one sentence."""
    from orchestration.resources import MatchSource

    def broken(*_: object) -> None:
        raise TouchlineError("the file is an HTML page")

    home = fresh(datetime(2025, 9, 1, tzinfo=UTC))
    home.lake.write_bytes(f"matches/{bundled.COMPETITION}.parquet", b"damaged")
    monkeypatch.setattr(MatchSource, "load", broken)
    with pytest.raises(TouchlineError, match=r"refresh_matches failed: .*HTML page"):
        home.run()
    assert home.lake.read_bytes(f"matches/{bundled.COMPETITION}.parquet") == b"damaged"
