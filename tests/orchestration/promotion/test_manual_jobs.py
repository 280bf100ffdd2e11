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
from orchestration.promotion.production_report import rollback_evidence
from orchestration.promotion.retraining import staging_busy
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


def shown(home: Any, asset: str) -> str:
    """The field `evidence` that Dagster shows for an asset."""
    with home.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    return str(event.asset_materialization.metadata["evidence"].value)


def refusal(home: Any, job: str, op: str, **form: str | int) -> str:
    """Why a decision was refused; empty if it was not."""
    result = run(home, job, op, **form)
    return "" if result.success else str(result.failure_data_for_node(op).error.message)


@pytest.mark.parametrize("quoted", [{}, {"evidence": " "}, {"evidence": "0123456789abcdef"}], ids=str)
def test_decision_without_the_right_evidence_is_refused(waiting: Any, quoted: dict[str, str]) -> None:
    """A web page can start a run but not read the evidence. The refusal tells a person where it is shown."""
    waiting.registry.set_alias(PRODUCTION, 2)
    week = report_files.drift_weeks(waiting.lake)[-1]
    (waiting.settings.home / "lake" / report_files.drift_review_path(week)).unlink(missing_ok=True)
    forms: dict[str, tuple[str, str, dict[str, str | int]]] = {
        "approve_promotion": ("approve_candidate", "promotion_gate", {"version": 2, "name": "Ada", "reason": "good"}),
        "rollback_production": ("restore_previous", "production_model", {"name": "Ada", "reason": "good"}),
        "review_drift": ("record_review", "drift_report", {"week": week, "name": "Ada", "note": "good"}),
    }
    for job, (op, asset, form) in forms.items():
        why = refusal(waiting, job, op, **form, **quoted)
        assert f"shown on the asset {asset}" in why or f"on the asset {asset}" in why, why
    assert "approved_by" not in waiting.registry.by_alias(STAGING).tags
    assert waiting.registry.by_alias(PRODUCTION).version == 2
    assert not (waiting.settings.home / "lake" / report_files.drift_review_path(week)).exists()


def test_approval_is_of_the_evidence_that_is_shown(waiting: Any) -> None:
    """The tag on the version quotes the evidence, which is that of the gate report in the lake."""
    evidence = shown(waiting, "promotion_gate")
    assert waiting.lake.read_json(report_files.PROMOTION_GATE)["evidence"] == evidence
    form: dict[str, str | int] = {"version": 2, "name": "Ada", "reason": "good", "evidence": evidence}
    assert refusal(waiting, "approve_promotion", "approve_candidate", **form) == ""
    assert waiting.registry.by_alias(STAGING).tags["approved_evidence"] == evidence


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
    assert metadata["conditions"].value.replace("\\", "").splitlines() == [
        "- **passed** `calibrated`: within (0.02; required: <= 0.05)",
        "- **FAILED** `better`: worse than version 1 by far (-; required: -)",
    ]


def test_review_publishes_a_new_gate_report(waiting: Any) -> None:
    """Only new results update the gate automatically, so a decision has to publish the report itself."""
    report = waiting.lake.read_json(report_files.PROMOTION_GATE)
    week = report_files.drift_weeks(waiting.lake)[-1]
    summary = waiting.lake.read_json(f"reports/drift/week={week}/summary.json")
    waiting.lake.write_json(f"reports/drift/week={week}/summary.json", summary | {"state": "drift"})
    assert run(
        waiting, "review_drift", "record_review", week=week, name="Ada", note="newcomers", evidence=summary["digest"]
    ).success
    conditions = {line["name"]: line for line in waiting.lake.read_json(report_files.PROMOTION_GATE)["conditions"]}
    assert conditions["drift_reviewed"]["why"] == "reviewed by Ada: newcomers"
    assert waiting.lake.read_json(report_files.PROMOTION_GATE)["evidence"] != report["evidence"]
    with waiting.instance() as instance:
        assert instance.get_latest_materialization_event(dg.AssetKey("promotion_gate")) is not None


def test_rollback_publishes_a_new_gate_report(waiting: Any) -> None:
    waiting.registry.set_alias(PREVIOUS, 1)
    waiting.registry.set_alias(PRODUCTION, 2)
    form = {"name": "Ada", "reason": "odd draws", "evidence": rollback_evidence(waiting.registry, waiting.lake)}
    assert refusal(waiting, "rollback_production", "restore_previous", **form) == ""
    assert shown(waiting, "production_model") == rollback_evidence(waiting.registry, waiting.lake) != form["evidence"]
    report = waiting.lake.read_json(report_files.PROMOTION_GATE)
    assert (report["production"], report["candidate"]) == (1, None)
    assert "version 2 was rolled back by Ada" in report["conditions"][0]["why"]


def test_version_staged_without_the_tags_of_training_fails_the_gate(waiting: Any) -> None:
    """It blocks no retraining, because the gate can never evaluate it."""
    waiting.registry.remove_tags(2, ["trained_through"])
    assert run(waiting, "evaluate_candidate").success
    report = waiting.lake.read_json(report_files.PROMOTION_GATE)
    (condition,) = report["conditions"]
    assert (report["candidate"], report["production"], condition["name"]) == (2, 1, "trained_by_touchline")
    assert "its tag trained_through is ''" in condition["why"]
    assert staging_busy(waiting.registry, waiting.lake, NOW) is None


def test_move_by_hand_is_shown_and_ended_by_a_rollback(waiting: Any) -> None:
    """The gate page and the page of the version in production name it; the decided version returns."""
    waiting.registry.set_alias(PRODUCTION, 2)
    assert run(waiting, "promote_model").success
    report = waiting.lake.read_json(report_files.PROMOTION_GATE)
    assert "version 2 is in production without a decision" in report["undecided_production"]
    with waiting.instance() as instance:
        for asset, field in (("promotion_gate", "production_without_decision"), ("production_model", "because")):
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
            assert "version 2 is in production without" in str(event.asset_materialization.metadata[field].value)
    form = {"name": "Ada", "reason": "by mistake", "evidence": shown(waiting, "production_model")}
    assert refusal(waiting, "rollback_production", "restore_previous", **form) == ""
    assert waiting.registry.by_alias(PRODUCTION).version == 1
    assert waiting.lake.read_json(report_files.PROMOTION_GATE)["undecided_production"] is None


def test_deleting_the_version_in_production_promotes_no_candidate(waiting: Any) -> None:
    waiting.registry.remove_alias(PRODUCTION)
    assert run(waiting, "promote_model").success
    assert waiting.registry.by_alias(PRODUCTION) is None
    assert "no version is in production" in waiting.lake.read_json(report_files.PROMOTION_GATE)["undecided_production"]


DECISIONS = {
    "approve_promotion": ("approve_candidate", "version, name, reason, evidence"),
    "rollback_production": ("restore_previous", "name, reason, evidence"),
    "review_drift": ("record_review", "week, name, note, evidence"),
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
    form = {"week": "2026-03-03", "name": "Ada", "note": "newcomers", "evidence": "0"}
    with dg.DagsterInstance.ephemeral() as instance:
        run = manual_jobs.review_drift.execute_in_process(
            run_config={"ops": {"record_review": {"config": form}}},
            instance=instance,
            resources=resources,
            raise_on_error=False,
        )
    error = run.failure_data_for_node("record_review").error.message
    assert "no drift report for the week of 2026-03-03; the newest is that of 2026-03-02" in error
