"""What a person decides is decided on what they could see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import active_presets_from_job_def

from features.io import reports
from features.io.clock import Clock
from features.io.registry import ModelVersion
from features.io.store import Lake
from monitoring.conditions import Condition, Policy
from monitoring.gate import Verdict, as_document
from orchestration.assets import promotion_gate as gate_asset
from orchestration.assets.promotion_gate import promotion_gate, shown
from orchestration.promotion import manual_jobs
from orchestration.settings import PipelineSettings

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)
WAITS = Verdict(2, 1, Policy.MANUAL, NOW, 120, (Condition("approved", False, "-", "-", "waits"),), "abc")


class Aliases:
    """A registry without versions that remembers tags."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    def by_alias(self, alias: str) -> None:
        return None

    def versions(self) -> list[ModelVersion]:
        return []

    def set_tags(self, version: int, tags: dict[str, str]) -> None:
        self.tags |= tags


@pytest.fixture
def resources(tmp_path) -> dict[str, Any]:
    settings = PipelineSettings(home=tmp_path, as_of=NOW, mlflow_tracking_uri="http://127.0.0.1:9")
    return {
        "settings": settings,
        "lake": Lake(settings.lake_root),
        "clock": Clock(settings),
        "registry": Aliases(),
    }


def approve(resources: dict[str, Any]) -> bool:
    config = {"ops": {"approve_candidate": {"config": {"version": 2, "name": "Ada", "reason": "good"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        done = manual_jobs.approve_promotion.execute_in_process(
            run_config=config, instance=instance, resources=resources, raise_on_error=False
        )
    return done.success


def test_an_approval_means_the_published_evidence_and_no_newer_one(resources, monkeypatch) -> None:
    monkeypatch.setattr(manual_jobs, "assess", lambda *_: WAITS)
    assert not approve(resources), "nothing was published that anybody could have looked at"
    resources["lake"].write_json(reports.PROMOTION_GATE, as_document(replace(WAITS, evidence="older"), NOW))
    assert not approve(resources), "the evidence has changed since it was published"
    resources["lake"].write_json(reports.PROMOTION_GATE, as_document(WAITS, NOW))
    assert approve(resources)
    assert resources["registry"].tags["approved_evidence"] == "abc"


def test_a_gate_with_nothing_staged_forgets_the_version_taken_back(resources) -> None:
    resources["lake"].write_json(reports.PROMOTION_GATE, as_document(WAITS, NOW))
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([promotion_gate], instance=instance, resources=resources).success
    document = resources["lake"].read_json(reports.PROMOTION_GATE)
    assert (document["candidate"], document["open"], document["waiting_since"]) == (None, False, None)


def test_a_damaged_verdict_is_replaced_by_the_next_one(resources, monkeypatch) -> None:
    monkeypatch.setattr(gate_asset, "assess", lambda *_: WAITS)
    resources["lake"].write_bytes(reports.PROMOTION_GATE, b"{")
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([promotion_gate], instance=instance, resources=resources).success
    assert resources["lake"].read_json(reports.PROMOTION_GATE)["candidate"] == 2


def test_every_condition_is_shown_in_a_line_that_says_why() -> None:
    why = "worse than version 1 by far"
    conditions = (Condition("calibrated", True, "0.02", "<= 0.05", "within"), Condition("better", False, "-", "-", why))
    seen = shown(replace(WAITS, conditions=conditions))
    assert (seen["open"], seen["candidate"], seen["evidence"]) == (False, 2, "abc")
    assert seen["conditions"].value.splitlines() == [
        "- **open** `calibrated`: within (0.02; needed: <= 0.05)",
        "- **SHUT** `better`: worse than version 1 by far (-; needed: -)",
    ]


def test_a_review_or_a_rollback_is_followed_by_a_verdict_that_knows_of_it(resources, monkeypatch) -> None:
    """The gate follows new results by itself; a decision brings none, and the verdict would stay what it was."""
    monkeypatch.setattr(gate_asset, "assess", lambda *_: WAITS)
    lake = resources["lake"]
    lake.write_json(
        "reports/drift/week=2026-03-02/summary.json", {"week": "2026-03-02", "state": "drift", "digest": "d"}
    )
    form = {"week": "2026-03-02", "name": "Ada", "note": "newcomers"}
    monkeypatch.setattr(manual_jobs.promotion, "rollback", lambda *_: 1)
    for job, op, config in (
        (manual_jobs.review_drift, "record_review", form),
        (manual_jobs.rollback_production, "restore_previous", {"name": "Ada", "reason": "odd draws"}),
    ):
        lake.write_json(reports.PROMOTION_GATE, as_document(replace(WAITS, evidence="older"), NOW))
        with dg.DagsterInstance.ephemeral() as instance:
            run = {"ops": {op: {"config": config}}}
            assert job.execute_in_process(run_config=run, instance=instance, resources=resources).success
            assert instance.get_latest_materialization_event(dg.AssetKey("promotion_gate")) is not None
        assert lake.read_json(reports.PROMOTION_GATE)["evidence"] == "abc"


DECISIONS = {
    "approve_promotion": ("approve_candidate", "version, name, reason"),
    "rollback_production": ("restore_previous", "name, reason"),
    "review_drift": ("record_review", "week, name, note"),
}


@pytest.mark.parametrize(("job", "op", "fields"), [(job, *one) for job, one in DECISIONS.items()])
def test_the_launchpad_opens_with_a_form_that_is_refused_as_it_is(resources, job: str, op: str, fields: str) -> None:
    definition = getattr(manual_jobs, job)
    (offered,) = active_presets_from_job_def(definition)
    assert list(offered.run_config["ops"][op]["config"]) == fields.split(", ")
    for given in (offered.run_config, {}):
        with dg.DagsterInstance.ephemeral() as instance:
            run = definition.execute_in_process(
                run_config=given, instance=instance, resources=resources, raise_on_error=False
            )
        assert not run.success
        assert f"the form is not filled in: {fields}" in run.failure_data_for_node(op).error.message


def test_a_review_of_a_week_without_report_names_the_newest(resources) -> None:
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
