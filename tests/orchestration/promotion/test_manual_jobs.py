"""A person's decisions are based on what that person could see."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import active_presets_from_job_def

from features.io import report_files
from features.io.clock import Clock
from features.io.registry import PREVIOUS, PRODUCTION, STAGING, ModelVersion
from features.io.store import Lake
from monitoring.conditions import Condition, Policy
from monitoring.gate import GateDecision, to_dict
from orchestration.assets.promotion_gate import promotion_gate
from orchestration.definitions import build
from orchestration.promotion import manual_jobs
from orchestration.promotion.gate_report import gate_metadata
from orchestration.settings import PipelineSettings

pytestmark = pytest.mark.timeout(900)  # the first test sets up a whole installation

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)
WAITS = GateDecision(2, 1, Policy.MANUAL, NOW, 120, (Condition("approved", False, "-", "-", "waits"),), "abc")


class EmptyRegistry:
    """A registry without versions."""

    def by_alias(self, alias: str) -> None:
        return None

    def versions(self) -> list[ModelVersion]:
        return []


@pytest.fixture
def resources(tmp_path: Path) -> dict[str, Any]:
    settings = PipelineSettings(home=tmp_path, as_of=NOW, mlflow_tracking_uri="http://127.0.0.1:9")
    return {
        "settings": settings,
        "lake": Lake(settings.lake_root),
        "clock": Clock(settings),
        "registry": EmptyRegistry(),
    }


@pytest.fixture
def waiting(judged: Any, tmp_path: Path) -> Any:
    """A copy of the installation in which version 2 waits for a person."""
    home = tmp_path / "waiting"
    shutil.copytree(judged.settings.home, home)
    here = type(judged)(
        judged.settings.model_copy(update={"home": home, "mlflow_tracking_uri": f"sqlite:///{home}/mlflow.db"})
    )
    assert run(here, "evaluate_candidate").success
    return here


def run(home: Any, job: str, op: str = "", **form: str | int) -> dg.ExecuteInProcessResult:
    """Run a job of an installation as a person would from the launchpad."""
    config = {"ops": {op: {"config": form}}} if op else {}
    with home.instance() as instance:
        definition = build(home.settings).resolve_job_def(job)
        return definition.execute_in_process(run_config=config, instance=instance, raise_on_error=False)


def approve(home: Any) -> str | None:
    """Approve version 2; return why this was refused, or None."""
    result = run(home, "approve_promotion", "approve_candidate", version=2, name="Ada", reason="good")
    return None if result.success else result.failure_data_for_node("approve_candidate").error.message


def test_approval_needs_a_published_gate_report(waiting: Any) -> None:
    (waiting.settings.home / "lake" / report_files.PROMOTION_GATE).unlink()
    assert "job evaluate_candidate" in str(approve(waiting))


def test_approval_is_of_the_published_evidence(waiting: Any) -> None:
    """Approval is refused if the evidence has changed since publication. The tag on the version quotes the evidence."""
    report = waiting.lake.read_json(report_files.PROMOTION_GATE)
    waiting.lake.write_json(report_files.PROMOTION_GATE, report | {"evidence": "older"})
    assert "the evidence has changed" in str(approve(waiting))
    waiting.lake.write_json(report_files.PROMOTION_GATE, report)
    assert approve(waiting) is None
    assert waiting.registry.by_alias(STAGING).tags["approved_evidence"] == report["evidence"]


def test_gate_forgets_the_version_that_was_rolled_back(resources: dict[str, Any]) -> None:
    resources["lake"].write_json(report_files.PROMOTION_GATE, to_dict(WAITS, NOW))
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([promotion_gate], instance=instance, resources=resources).success
    document = resources["lake"].read_json(report_files.PROMOTION_GATE)
    assert (document["candidate"], document["open"], document["waiting_since"]) == (None, False, None)


def test_damaged_gate_report_is_replaced(waiting: Any) -> None:
    waiting.lake.write_bytes(report_files.PROMOTION_GATE, b"{")
    assert run(waiting, "evaluate_candidate").success
    assert waiting.lake.read_json(report_files.PROMOTION_GATE)["candidate"] == 2


def test_each_condition_is_a_line_with_its_reason() -> None:
    why = "worse than version 1 by far"
    conditions = (Condition("calibrated", True, "0.02", "<= 0.05", "within"), Condition("better", False, "-", "-", why))
    metadata = gate_metadata(replace(WAITS, conditions=conditions))
    assert (metadata["passed"], metadata["candidate"], metadata["evidence"]) == (False, 2, "abc")
    assert metadata["conditions"].value.splitlines() == [
        "- **passed** `calibrated`: within (0.02; required: <= 0.05)",
        "- **FAILED** `better`: worse than version 1 by far (-; required: -)",
    ]


def test_review_publishes_a_new_gate_report(waiting: Any) -> None:
    """Only new results update the gate automatically, so a decision has to publish the report itself."""
    report = waiting.lake.read_json(report_files.PROMOTION_GATE)
    week = report_files.drift_weeks(waiting.lake)[-1]
    summary = waiting.lake.read_json(f"reports/drift/week={week}/summary.json")
    waiting.lake.write_json(f"reports/drift/week={week}/summary.json", summary | {"state": "drift"})
    assert run(waiting, "review_drift", "record_review", week=week, name="Ada", note="newcomers").success
    conditions = {line["name"]: line for line in waiting.lake.read_json(report_files.PROMOTION_GATE)["conditions"]}
    assert conditions["drift_reviewed"]["why"] == "reviewed by Ada: newcomers"
    assert waiting.lake.read_json(report_files.PROMOTION_GATE)["evidence"] != report["evidence"]
    with waiting.instance() as instance:
        assert instance.get_latest_materialization_event(dg.AssetKey("promotion_gate")) is not None


def test_rollback_publishes_a_new_gate_report(waiting: Any) -> None:
    waiting.registry.set_alias(PREVIOUS, 1)
    waiting.registry.set_alias(PRODUCTION, 2)
    assert run(waiting, "rollback_production", "restore_previous", name="Ada", reason="odd draws").success
    report = waiting.lake.read_json(report_files.PROMOTION_GATE)
    assert (report["production"], report["candidate"]) == (1, None)
    assert "version 2 was rolled back by Ada" in report["conditions"][0]["why"]


DECISIONS = {
    "approve_promotion": ("approve_candidate", "version, name, reason"),
    "rollback_production": ("restore_previous", "name, reason"),
    "review_drift": ("record_review", "week, name, note"),
}


@pytest.mark.parametrize(("job", "op", "fields"), [(job, *form) for job, form in DECISIONS.items()])
def test_empty_form_of_the_launchpad_is_refused(resources: dict[str, Any], job: str, op: str, fields: str) -> None:
    definition = getattr(manual_jobs, job)
    (offered,) = active_presets_from_job_def(definition)
    assert list(offered.run_config["ops"][op]["config"]) == fields.split(", ")
    for config in (offered.run_config, {}):
        with dg.DagsterInstance.ephemeral() as instance:
            run = definition.execute_in_process(
                run_config=config, instance=instance, resources=resources, raise_on_error=False
            )
        assert not run.success
        assert f"these fields of the form are empty: {fields}" in run.failure_data_for_node(op).error.message


def test_review_of_a_week_without_report_names_the_newest(resources: dict[str, Any]) -> None:
    lake = resources["lake"]
    lake.write_json("reports/drift/week=2026-03-02/summary.json", {"week": "2026-03-02"})
    form = {"week": "2026-03-03", "name": "Ada", "note": "newcomers"}
    with dg.DagsterInstance.ephemeral() as instance:
        run = manual_jobs.review_drift.execute_in_process(
            run_config={"ops": {"record_review": {"config": form}}},
            instance=instance,
            resources=resources,
            raise_on_error=False,
        )
    error = run.failure_data_for_node("record_review").error.message
    assert "no drift report for the week of 2026-03-03; the newest is that of 2026-03-02" in error
