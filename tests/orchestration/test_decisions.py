"""What a person decides is decided on what they could see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from features.io.clock import Clock
from features.io.store import Lake
from monitoring.gate import Condition, Policy, Verdict, as_document
from orchestration import decisions
from orchestration.assets.gate import GATE, gate
from orchestration.settings import PipelineSettings

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)
WAITS = Verdict(2, 1, Policy.MANUAL, NOW, 120, (Condition("approved", False, "-", "-", "waits"),), "abc")


class Aliases:
    """A registry without versions that remembers tags."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    def by_alias(self, alias: str) -> None:
        return None

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
        done = decisions.approve_promotion.execute_in_process(
            run_config=config, instance=instance, resources=resources, raise_on_error=False
        )
    return done.success


def test_an_approval_means_the_published_evidence_and_no_newer_one(resources, monkeypatch) -> None:
    monkeypatch.setattr(decisions, "assess", lambda *_: WAITS)
    assert not approve(resources), "nothing was published that anybody could have looked at"
    resources["lake"].write_json(GATE, as_document(replace(WAITS, evidence="older"), NOW))
    assert not approve(resources), "the evidence has changed since it was published"
    resources["lake"].write_json(GATE, as_document(WAITS, NOW))
    assert approve(resources)
    assert resources["registry"].tags["approved_evidence"] == "abc"


def test_a_gate_with_nothing_staged_forgets_the_version_taken_back(resources) -> None:
    resources["lake"].write_json(GATE, as_document(WAITS, NOW))
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([gate], instance=instance, resources=resources).success
    document = resources["lake"].read_json(GATE)
    assert (document["candidate"], document["open"], document["waiting_since"]) == (None, False, None)
