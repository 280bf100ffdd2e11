"""What the Dagster UI shows: assets, their partitions and texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

from monitoring.conditions import Policy
from orchestration.definitions import build
from orchestration.partitions import WEEKS_AHEAD, weeks
from orchestration.settings import PipelineSettings

ASSETS = {
    "drift_report": "week",
    "forecasts": "week",
    "freshness": None,
    "promotion_gate": None,
    "match_features": "competition",
    "matches": "competition",
    "outcome_model": None,
    "performance": None,
    "production_model": None,
    "season_forecast": "competition",
    "settled_forecasts": "week",
    "shadow_forecasts": "week",
    "team_states": "competition",
}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build(PipelineSettings(home=tmp_path_factory.mktemp("home"), mlflow_tracking_uri="http://127.0.0.1:9"))


def cut_by(definition: dg.PartitionsDefinition | None) -> str | None:
    if definition is None:
        return None
    return "week" if isinstance(definition, dg.TimeWindowPartitionsDefinition) else "competition"


def test_the_assets_are_these_and_cut_like_this(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    partitioning = {
        key.to_user_string(): cut_by(graph.get(key).partitions_def) for key in graph.materializable_asset_keys
    }
    assert partitioning == ASSETS


def test_every_asset_and_job_tells_a_person_what_it_is(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        assert len(graph.get(key).description or "") > 60, key
        assert graph.get(key).group_name != "default", key
    for job in definitions.jobs or []:
        assert job.description, job.name


def test_weeks_ahead_of_the_real_clock_exist() -> None:
    assert len(weeks.get_partition_keys()) > 5
    assert "2026-03-09" in weeks.get_partition_keys()


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({}, "2025-06-30"),
        ({"as_of": "2026-03-13"}, "2025-06-30"),
        ({"as_of": "2024-03-01"}, "2023-06-26"),
        ({"first_published_week": "2019-08-08"}, "2019-08-05"),
    ],
)
def test_first_week_follows_from_the_clock_or_the_setting(tmp_path: Path, settings: dict[str, Any], first: str) -> None:
    """All later weeks remain."""
    graph = build(PipelineSettings(home=tmp_path, **settings)).resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        definition = graph.get(key).partitions_def
        if cut_by(definition) == "week":
            keys = definition.get_partition_keys()
            assert keys[0] == first, key
            assert set(weeks.get_partition_keys()) <= set(keys), key


def test_the_workspace_file_names_these_definitions(repository: Path) -> None:
    assert "module_name: orchestration.definitions" in (repository / "workspace.yaml").read_text()


def test_no_more_weeks_can_be_asked_for_than_exist(tmp_path: Path) -> None:
    last = datetime.fromisoformat(weeks.get_partition_keys()[-1]).replace(tzinfo=UTC)
    assert last >= datetime.now(UTC) + timedelta(weeks=WEEKS_AHEAD - 1)
    with pytest.raises(ValidationError):
        PipelineSettings(home=tmp_path, forecast_horizon_weeks=WEEKS_AHEAD + 1)


def test_only_one_run_at_a_time_settles(definitions: dg.Definitions) -> None:
    assert definitions.resolve_assets_def("settled_forecasts").op.pool == "settlement"


def test_asset_page_makes_one_run_and_job_one_per_week(definitions: dg.Definitions) -> None:
    """A backfill from a weekly asset's page is one run; the job `backfill_weeks` makes one run per week."""
    graph = definitions.resolve_asset_graph()
    weekly = {dg.AssetKey(name) for name, cut in ASSETS.items() if cut == "week"}
    assert {graph.get(key).backfill_policy for key in weekly} == {dg.BackfillPolicy.single_run()}
    others = set(graph.materializable_asset_keys) - weekly
    assert {graph.get(key).backfill_policy for key in others} == {None}
    by_week = definitions.resolve_job_def("backfill_weeks")
    assert by_week.backfill_policy == dg.BackfillPolicy.multi_run(1)
    assert by_week.asset_layer.executable_asset_keys == weekly


def test_what_happens_by_itself_is_switched_on(definitions: dg.Definitions) -> None:
    """Schedules are in UTC. No other test would notice a schedule or sensor that is switched off."""
    repository = definitions.get_repository_def()
    crons = {schedule.name: (schedule.job_name, schedule.cron_schedule) for schedule in repository.schedule_defs}
    assert crons == {
        "daily_refresh": ("refresh_matches", "0 6 * * *"),
        "weekly_retraining": ("train_model", "0 5 * * 2"),
        "weekly_drift": ("report_drift", "0 7 * * 1"),
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        *("new_results_sensor", "promotion_sensor", "drift_alarm_sensor", "performance_alarm_sensor"),
        *("production_changed_sensor", "automation_sensor", "first_refresh_sensor", "first_training_sensor"),
        *("pending_pods_sensor", "submission_sensor"),
    }
    assert {schedule.default_status for schedule in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}
    assert {sensor.default_status for sensor in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}


def test_unless_somebody_says_otherwise_a_person_approves() -> None:
    assert PipelineSettings().promotion_policy is Policy.MANUAL
