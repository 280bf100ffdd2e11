"""Automation: schedules, sensors, and what new results trigger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from features.io import report_files
from features.io.clock import Clock
from features.io.registry import ModelVersion
from features.io.sources import SourceResult, bundled
from features.io.sources.source_result import quarantine_table
from features.io.store import Lake
from features.matches import OUTCOMES, conform, with_match_ids
from features.metrics import rps
from monitoring.performance import performance_report
from orchestration import sensors
from orchestration.definitions import build
from orchestration.partitions import PARTITION, RANGE_END, RANGE_START, register_competitions, weeks
from orchestration.promotion.retraining_triggers import ALARM
from orchestration.resources import MatchSource
from orchestration.schedules import daily_refresh, weekly_drift, weekly_retraining
from orchestration.sensors import (
    drift_alarm_sensor,
    new_results_sensor,
    performance_alarm_sensor,
    production_changed_sensor,
)
from orchestration.settings import PipelineSettings

pytestmark = pytest.mark.medium

AS_OF = datetime(2026, 3, 13, 12, tzinfo=UTC)
LEAGUE = "eng-premier-league"


class Versions:
    """A registry that only lists versions."""

    def __init__(self, *versions: ModelVersion) -> None:
        self._versions = list(versions)

    def versions(self) -> list[ModelVersion]:
        return self._versions

    def by_alias(self, alias: str) -> ModelVersion | None:
        return next((version for version in self._versions if alias in version.aliases), None)


@pytest.fixture
def settings(tmp_path) -> PipelineSettings:
    return PipelineSettings(home=tmp_path, as_of=AS_OF, mlflow_tracking_uri="http://127.0.0.1:9")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


Tick = Callable[..., Any]


@pytest.fixture
def tick(settings: PipelineSettings, instance: dg.DagsterInstance) -> Tick:
    def of(
        *versions: ModelVersion,
        sensor: dg.SensorDefinition = drift_alarm_sensor,
        cap: int = settings.max_alarm_retrainings,
    ) -> Any:
        resources = {
            "registry": Versions(*versions),
            "lake": Lake(settings.lake_root),
            "clock": Clock(settings),
            "settings": settings.model_copy(update={"max_alarm_retrainings": cap}),
        }
        return sensor(dg.build_sensor_context(resources=resources, instance=instance))

    return of


@dg.job
def anything() -> None:
    """Do nothing."""


def answered(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """Create the run that answers a request."""
    return instance.create_run_for_job(anything, tags=request.tags, status=status)


DRIFT = {"state": "drift", "digest": "abc", "drifted": ["elo"], "week": "2026-03-02"}
DRIFT_PATH = "reports/drift/week=2026-03-02/summary.json"


def test_drift_requests_a_training_on_the_running_season(settings, instance, tick: Tick) -> None:
    Lake(settings.lake_root).write_json(DRIFT_PATH, DRIFT)
    request = tick()
    config = request.run_config["ops"]["outcome_model"]["config"]
    assert config["include_running_season"] is True
    assert config["reason"].startswith(ALARM)
    recent = {"trained_as_of": "2026-03-10T00:00:00+00:00", "trained_because": "weekly schedule"}
    assert isinstance(tick(ModelVersion(1, "run", AS_OF, recent)), dg.RunRequest)
    by_alarm = recent | {"trained_because": f"{ALARM}drift"}
    assert "cool-down" in tick(ModelVersion(1, "run", AS_OF, by_alarm)).skip_message
    answered(instance, request, dg.DagsterRunStatus.SUCCESS)
    assert "has been trained for this alarm already" in tick().skip_message, "one alarm is answered once"


def test_an_alarm_whose_training_failed_is_answered_again(settings, instance, tick: Tick, monkeypatch) -> None:
    Lake(settings.lake_root).write_json(DRIFT_PATH, DRIFT)
    request = tick()
    run = answered(instance, request, dg.DagsterRunStatus.STARTED)
    assert "in progress" in tick().skip_message
    instance.report_run_failed(run)
    assert "previous run failed" in tick().skip_message
    monkeypatch.setattr(sensors, "TRAINING_RETRY_DELAY", timedelta(0))
    again = tick()
    assert again.run_key != request.run_key, "Dagster answers a run key only once"
    assert again.run_config == request.run_config


@pytest.mark.parametrize("name", ["drift", "performance"])
def test_alarm_does_not_displace_a_candidate_in_evaluation(settings, tick: Tick, name: str) -> None:
    lake = Lake(settings.lake_root)
    lake.write_json(DRIFT_PATH, DRIFT)
    lake.write_json("reports/performance.json", performance_report(of_production(swapped=True), AS_OF))
    ask = partial(tick, *WAITING, sensor={"drift": drift_alarm_sensor, "performance": performance_alarm_sensor}[name])
    assert "still being evaluated" in ask().skip_message
    refused = {"candidate": 2, "matches": 120, "conditions": [{"name": "calibrated", "open": False}]}
    lake.write_json(report_files.PROMOTION_GATE, refused)
    assert isinstance(ask(), dg.RunRequest)


def of_production(swapped: bool) -> pd.DataFrame:
    """Settled forecasts of a model that knows the chances or, if `swapped`, confuses home and away."""
    generator = np.random.default_rng(0)
    chances = generator.dirichlet([5, 3, 4], 120)
    outcome = (generator.random((120, 1)) > chances.cumsum(axis=1)[:, :2]).sum(axis=1)
    model, flat = chances[:, ::-1] if swapped else chances, np.tile(chances.mean(axis=0), (120, 1))
    rows = pd.DataFrame({"match_id": [f"m{i}" for i in range(120)], "outcome": outcome, "rps": rps(model, outcome)})
    for prefix, triple in (("", model), ("elo_", flat), ("base_", flat), ("market_", chances)):
        rows[[f"{prefix}{name}" for name in OUTCOMES]] = triple
    days = pd.date_range("2025-09-01", periods=120, freq="D", tz="UTC")
    return rows.assign(kick_off=days, competition=LEAGUE, season="2025-26", model_version=1)


def test_bad_forecasts_request_trainings_up_to_the_cap(settings, tick: Tick) -> None:
    lake = Lake(settings.lake_root)
    production = ModelVersion(1, "run", AS_OF, aliases=("production",))
    ask = partial(tick, production, sensor=performance_alarm_sensor)
    lake.write_json("reports/performance.json", performance_report(of_production(swapped=False), AS_OF))
    assert ask().skip_message == "no alarm"
    lake.write_json("reports/performance.json", performance_report(of_production(swapped=True), AS_OF))
    request = ask()
    reason = request.run_config["ops"]["outcome_model"]["config"]["reason"]
    assert reason.startswith(f"{ALARM}worse than the base rate on the last 100 matches of version 1")
    promoted = ModelVersion(2, "run", AS_OF, aliases=("production",))
    assert tick(promoted, sensor=performance_alarm_sensor).skip_message == "no alarm"
    by_alarm = [
        ModelVersion(n + 1, "run", AS_OF, {"trained_as_of": f"2026-0{n}-10T00:00:00+00:00", "trained_because": reason})
        for n in (1, 2)
    ]
    assert isinstance(ask(*by_alarm), dg.RunRequest)
    assert "a person has to investigate" in ask(*by_alarm, cap=2).skip_message


def test_no_report_is_no_alarm(tick: Tick) -> None:
    assert tick().skip_message == "no alarm"


def test_the_daily_schedule_refreshes_every_competition(settings) -> None:
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=AS_OF)
        requests = daily_refresh(context, settings=settings)
    assert [request.partition_key for request in requests] == [LEAGUE]


def test_weekly_schedules_train_and_report_drift(settings) -> None:
    request = weekly_retraining(registry=Versions(), lake=Lake(settings.lake_root), clock=Clock(settings))
    config = request.run_config["ops"]["outcome_model"]["config"]
    assert config == {"include_running_season": True, "reason": "weekly schedule"}
    assert weekly_drift(clock=Clock(settings)).partition_key == "2026-03-02"


WAITING = (
    ModelVersion(2, "run", AS_OF, tags={"trained_through": AS_OF.isoformat()}, aliases=("staging",)),
    ModelVersion(1, "run", AS_OF, aliases=("production",)),
)


def test_candidate_stays_staged_until_its_evidence_fails(settings) -> None:
    lake = Lake(settings.lake_root)
    retrain = partial(weekly_retraining, registry=Versions(*WAITING), lake=lake, clock=Clock(settings))

    def judged(matches: int, *shut: str, candidate: int = 2, days_ago: int = 0) -> object:
        conditions = [{"name": name, "open": False} for name in shut]
        since = (AS_OF - timedelta(days=days_ago)).isoformat() if matches >= 100 else None
        lake.write_json(
            report_files.PROMOTION_GATE,
            {"candidate": candidate, "matches": matches, "conditions": conditions, "judged_since": since},
        )
        return retrain()

    assert isinstance(retrain(), dg.SkipReason)
    assert isinstance(judged(10, "enough_matches", "beats_plain_elo"), dg.SkipReason)
    assert isinstance(judged(120, "approved", "drift_reviewed"), dg.SkipReason)
    assert isinstance(judged(120, "not_worse_than_production", candidate=1), dg.SkipReason)
    assert isinstance(judged(120, "not_worse_than_production"), dg.RunRequest)
    assert isinstance(judged(140, "approved", days_ago=27), dg.SkipReason)
    assert isinstance(judged(140, "approved", days_ago=28), dg.RunRequest), "nobody has answered for four weeks"


def test_a_new_version_in_production_forecasts_the_weeks_to_come(settings) -> None:
    definitions = build(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_job_def("promote_model")
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.SUCCESS)
        event = dg.DagsterEvent("PIPELINE_SUCCESS", job_name="promote_model")
        context = dg.build_run_status_sensor_context(
            sensor_name="production_changed_sensor",
            dagster_event=event,
            dagster_instance=instance,
            dagster_run=run,
            resources={"clock": Clock(settings), "settings": settings},
        )
        request = production_changed_sensor(context)
    assert request.tags == {RANGE_START: "2026-03-09", RANGE_END: "2026-04-06"}


LEAGUES = (LEAGUE, "eng-championship", "ger-bundesliga")


class Installation:
    """Three leagues of two countries; refreshes and rates them as the daemon would."""

    def __init__(self, settings: PipelineSettings, instance: dg.DagsterInstance) -> None:
        self.instance, self.lake, self.definitions = instance, Lake(settings.lake_root), build(settings)
        self.tables: dict[str, pd.DataFrame] = {}
        table = bundled.load()
        for name in LEAGUES:
            same = table[table["season"] == "2025-26"].assign(competition=name).drop(columns="match_id")
            self.tables[name] = conform(with_match_ids(same))
        register_competitions(instance, LEAGUES)

    def refresh(self, *names: str) -> None:
        for name in names:
            assert self._job("refresh_matches", name)

    def rate(self) -> set[str]:
        """Do what the sensor requests; return the competitions."""
        context = dg.build_sensor_context(instance=self.instance, resources={"lake": self.lake})
        requests = new_results_sensor(context)
        if isinstance(requests, dg.SkipReason):
            return set()
        assert isinstance(requests, list)
        rated: set[str] = set()
        for request in requests:
            assert self._job("update_ratings", request.partition_key)
            rated.add(request.partition_key)
        return rated

    def _job(self, job: str, name: str) -> bool:
        definition = self.definitions.resolve_job_def(job)
        return definition.execute_in_process(instance=self.instance, partition_key=name).success


@pytest.fixture
def here(settings, monkeypatch) -> Iterator[Installation]:
    with dg.instance_for_test() as instance:
        installation = Installation(settings, instance)

        def load_table(_: MatchSource, name: str, say: object) -> SourceResult:
            return SourceResult(installation.tables[name], quarantine_table([]))

        monkeypatch.setattr(MatchSource, "load", load_table)
        yield installation


@pytest.mark.slow
def test_only_countries_with_new_results_are_rated_again(here) -> None:
    assert here.rate() == set(), "nothing is there yet"
    here.refresh(*LEAGUES)
    assert here.rate() == set(LEAGUES)
    here.refresh(*LEAGUES)
    assert here.rate() == set(), "the same files again"
    before = here.lake.table_fingerprint("matches", "ger-bundesliga")
    here.tables["eng-championship"].loc[10, "home_goals"] += 1
    here.refresh(*LEAGUES)
    assert here.rate() == {LEAGUE, "eng-championship"}
    assert here.lake.table_fingerprint("matches", "ger-bundesliga") == before
    assert here.rate() == set()


def test_ratings_wait_until_all_tiers_of_a_country_are_refreshed(here) -> None:
    here.refresh(*LEAGUES)
    job = here.definitions.resolve_job_def("refresh_matches")
    tags = {PARTITION: "eng-championship"}
    run = here.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    assert here.rate() == {"ger-bundesliga"}
    here.instance.report_run_canceled(run)
    assert here.rate() == {LEAGUE, "eng-championship"}


def test_refresh_without_changes_updates_freshness_only(here) -> None:
    here.refresh(LEAGUE)
    here.rate()
    evaluation = dg.evaluate_automation_conditions(here.definitions, here.instance)
    here.refresh(LEAGUE)
    evaluation = dg.evaluate_automation_conditions(here.definitions, here.instance, cursor=evaluation.cursor)
    keys = here.definitions.resolve_asset_graph().get_all_asset_keys()
    requested = {key.to_user_string() for key in keys if evaluation.get_num_requested(key)}
    assert requested == {"freshness"}


class Followed:
    """Tells which partitions automation requests after a materialisation, by asset."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.definitions, self.instance = definitions, instance
        self.evaluation = dg.evaluate_automation_conditions(definitions, instance)

    def after(self, *nouns: str, partition: str | None = None) -> dict[str, Any]:
        for noun in nouns:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(noun, partition=partition))
        cursor = self.evaluation.cursor
        self.evaluation = dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=cursor)
        keys = self.definitions.resolve_asset_graph().materializable_asset_keys
        counts = {key: self.evaluation.get_num_requested(key) for key in keys}
        return {
            key.to_user_string(): self.evaluation.get_requested_partitions(key)
            for key, count in counts.items()
            if count
        }


@pytest.fixture
def followed(settings: PipelineSettings, instance: dg.DagsterInstance) -> Followed:
    """An installation in which every asset is materialised and automation requests nothing."""
    definitions, run_through = build(settings), weeks.get_partition_keys()
    register_competitions(instance, (LEAGUE,))
    for noun in ("matches", "match_features", "team_states", "season_forecast"):
        instance.report_runless_asset_event(dg.AssetMaterialization(noun, partition=LEAGUE))
    for noun in ("outcome_model", "production_model", "performance", "freshness", "promotion_gate"):
        instance.report_runless_asset_event(dg.AssetMaterialization(noun))
    for noun in ("forecasts", "shadow_forecasts", "settled_forecasts", "drift_report"):
        for week in run_through:
            instance.report_runless_asset_event(dg.AssetMaterialization(noun, partition=week))
    followed = Followed(definitions, instance)
    assert followed.after() == {}
    return followed


def test_the_final_table_follows_the_version_in_production(followed: Followed) -> None:
    assert followed.after("production_model") == {"season_forecast": {LEAGUE}}


def test_shadow_and_gate_follow_the_candidate(followed: Followed) -> None:
    requested = followed.after("outcome_model")
    assert {"2026-03-09", "2026-04-06"} <= requested["shadow_forecasts"]
    assert "season_forecast" not in requested, "a candidate is not in production"
    assert "promotion_gate" not in requested, (
        "requested now, it would judge without the shadow forecasts that are being made"
    )
    for week in requested["shadow_forecasts"]:
        followed.instance.report_runless_asset_event(dg.AssetMaterialization("shadow_forecasts", partition=week))
    assert "promotion_gate" in followed.after()


def test_a_drift_report_and_new_scores_are_taken_up_by_the_gate(followed: Followed) -> None:
    assert set(followed.after("drift_report", partition="2026-03-02")) == {"promotion_gate"}
    followed.instance.report_runless_asset_event(dg.AssetMaterialization("promotion_gate"))
    assert {"performance", "freshness"} <= set(followed.after("settled_forecasts", partition="2026-03-09"))
    followed.instance.report_runless_asset_event(dg.AssetMaterialization("freshness"))
    assert set(followed.after("performance")) == {"promotion_gate"}


def test_everything_follows_from_new_results_step_by_step(settings) -> None:
    definitions = build(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        register_competitions(instance, (LEAGUE,))
        evaluation = dg.evaluate_automation_conditions(definitions, instance)
        instance.report_runless_asset_event(dg.AssetMaterialization("matches", partition=LEAGUE))
        evaluation = dg.evaluate_automation_conditions(definitions, instance, cursor=evaluation.cursor)
        assert evaluation.get_num_requested(dg.AssetKey("freshness")) == 1, "ratings that fail must not hide staleness"
        for noun in ("match_features", "team_states"):
            instance.report_runless_asset_event(dg.AssetMaterialization(noun, partition=LEAGUE))
        for noun in ("outcome_model", "production_model"):
            instance.report_runless_asset_event(dg.AssetMaterialization(noun))
        evaluation = dg.evaluate_automation_conditions(definitions, instance, cursor=evaluation.cursor)
        assert "2026-03-09" in evaluation.get_requested_partitions(dg.AssetKey("forecasts"))
        assert "2026-03-09" in evaluation.get_requested_partitions(dg.AssetKey("settled_forecasts"))
        instance.report_runless_asset_event(dg.AssetMaterialization("settled_forecasts", partition="2026-03-09"))
        evaluation = dg.evaluate_automation_conditions(definitions, instance, cursor=evaluation.cursor)
        assert evaluation.get_num_requested(dg.AssetKey("performance")) == 1
        assert evaluation.get_num_requested(dg.AssetKey("freshness")) == 1
        assert evaluation.get_num_requested(dg.AssetKey("production_model")) == 0, (
            "new results do not promote a version"
        )
