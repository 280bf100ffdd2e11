"""A requested promotion happens, even if its first run fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from features.io import report_files
from features.io.registry import PRODUCTION, STAGING, ModelVersion
from features.io.store import Lake
from monitoring.conditions import Policy
from orchestration import sensors
from orchestration.promotion.production_report import undecided_production
from orchestration.settings import PipelineSettings

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)


class Staged:
    """A registry whose only version is staged."""

    def by_alias(self, alias: str, /) -> ModelVersion | None:
        return ModelVersion(2, "run", NOW, aliases=(STAGING,)) if alias == STAGING else None

    def versions(self) -> list[ModelVersion]:
        return [ModelVersion(2, "run", NOW, aliases=(STAGING,))]


def tick(settings: PipelineSettings, instance: dg.DagsterInstance) -> Any:
    resources = {"registry": Staged(), "lake": Lake(settings.lake_root), "settings": settings}
    return sensors.promotion_sensor(dg.build_sensor_context(instance=instance, resources=resources))


@dg.job
def promote() -> None:
    """Do nothing."""


def test_failed_promotion_is_requested_again(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A promotion that is still running is not requested again."""
    settings = PipelineSettings(home=tmp_path, promotion_policy=Policy.AUTO, mlflow_tracking_uri="http://127.0.0.1:9")
    Lake(settings.lake_root).write_json("reports/gate.json", {"candidate": 2, "evidence": "abc", "conditions": []})
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(settings, instance)
        assert tick(settings, instance).run_key == first.run_key
        run = instance.create_run_for_job(promote, tags=first.tags, status=dg.DagsterRunStatus.STARTED)
        assert "in progress" in tick(settings, instance).skip_message
        instance.report_run_failed(run)
        assert "previous run failed" in tick(settings, instance).skip_message
        monkeypatch.setattr(sensors, "PROMOTION_RETRY_DELAY", timedelta(0))
        assert tick(settings, instance).run_key != first.run_key


def test_change_interrupted_after_the_alias_is_completed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Staged, "by_alias", lambda _, alias: in_production() if alias == PRODUCTION else None)
    settings = PipelineSettings(home=tmp_path, mlflow_tracking_uri="http://127.0.0.1:9")
    with dg.DagsterInstance.ephemeral() as instance:
        assert tick(settings, instance).tags == {sensors.REQUEST_TAG: "finish the change to version 3"}
        entry = {"action": "promote", "version": 3, "at": NOW.isoformat()}
        Lake(settings.lake_root).write_json(report_files.PROMOTIONS, {"promotions": [entry]})
        assert tick(settings, instance).skip_message == "no version is staged"


def test_move_by_hand_is_reported_once(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run publishes the gate report, and the report then agrees with the registry."""
    moved = ModelVersion(7, "run", NOW, aliases=(PRODUCTION,))
    monkeypatch.setattr(Staged, "by_alias", lambda _, alias: moved if alias == PRODUCTION else None)
    settings = PipelineSettings(home=tmp_path, mlflow_tracking_uri="http://127.0.0.1:9")
    lake = Lake(settings.lake_root)
    report: dict[str, Any] = {"candidate": None, "production": 3, "conditions": []}
    lake.write_json(report_files.PROMOTION_GATE, report)
    entry = {"action": "promote", "version": 3, "at": NOW.isoformat(), "by": "Ada", "reason": "better"}
    lake.write_json(report_files.PROMOTIONS, {"promotions": [entry]})
    with dg.DagsterInstance.ephemeral() as instance:
        purpose = tick(settings, instance).tags[sensors.REQUEST_TAG]
        assert purpose == "report version 7 in production, without a decision"
        sentence = undecided_production(Staged(), lake)
        assert sentence is not None
        assert "version 7" in sentence
        lake.write_json(report_files.PROMOTION_GATE, {**report, "undecided_production": sentence})
        assert tick(settings, instance).skip_message == "no version is staged"


def in_production() -> ModelVersion:
    tags = {"promoted_at": NOW.isoformat(), "promoted_by": "Ada", "promoted_because": "better"}
    return ModelVersion(3, "run", NOW, tags, aliases=(PRODUCTION,))
