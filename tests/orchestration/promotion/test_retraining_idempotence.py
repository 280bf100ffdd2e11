"""A training that would make a version that exists already: what becomes of that one, and where it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import SCHEDULE_NAME_TAG, SENSOR_NAME_TAG

from features.io import reports
from features.io.clock import Clock
from features.io.registry import PREVIOUS, PRODUCTION, STAGING, ModelVersion
from features.io.store import Lake
from orchestration.assets import outcome_model as module
from orchestration.assets.promotion_gate import promotion_gate
from orchestration.settings import PipelineSettings
from orchestration.steps.training import IDENTITY

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)
SAME = dict.fromkeys(IDENTITY, "same")
ROLLED_BACK = {"rolled_back_by": "Ada", "rolled_back_because": "odd draws", "rolled_back_at": NOW.isoformat()}
APPROVED = {"approved_by": "Ada", "approved_because": "good", "approved_evidence": "e1", "approved_at": NOW.isoformat()}
AGAIN = "odd draws explained"


class Registry:
    """Version 1 is in production, version 2 has no role; nothing can be registered."""

    def __init__(self) -> None:
        self.tags: dict[int, dict[str, str]] = {1: {}, 2: {**SAME}}
        self.aliases = {PRODUCTION: 1}

    def versions(self) -> list[ModelVersion]:
        bearers = {n: tuple(sorted(a for a, v in self.aliases.items() if v == n)) for n in self.tags}
        return [ModelVersion(n, "run", NOW, dict(self.tags[n]), bearers[n]) for n in sorted(self.tags, reverse=True)]

    def by_alias(self, alias: str) -> ModelVersion | None:
        return next((one for one in self.versions() if alias in one.aliases), None)

    def set_alias(self, alias: str, version: int) -> None:
        self.aliases[alias] = version

    def set_tags(self, version: int, tags: Mapping[str, str]) -> None:
        self.tags[version] |= tags

    def remove_tags(self, version: int, names: Iterable[str]) -> None:
        for name in names:
            self.tags[version].pop(name, None)


@pytest.fixture
def resources(tmp_path, monkeypatch) -> dict[str, Any]:
    monkeypatch.setattr(module, "published", SimpleNamespace(matches=lambda _: None, features=lambda _: None))
    monkeypatch.setattr(module, "train", lambda *_: SimpleNamespace(tags=SAME))
    settings = PipelineSettings(home=tmp_path, as_of=NOW, mlflow_tracking_uri="http://127.0.0.1:9")
    return {
        "settings": settings,
        "lake": Lake(settings.lake_root),
        "clock": Clock(settings),
        "registry": Registry(),
    }


def trained_again(resources: dict[str, Any], reason: str | None = AGAIN, tags: Mapping[str, str] | None = None) -> str:
    """What the materialisation says, which is what the run's log says at INFO."""
    config = {"ops": {"outcome_model": {"config": {"reason": reason} if reason else {}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize(
            [module.outcome_model], instance=instance, resources=resources, run_config=config, tags=tags
        )
        logged = [one.user_message for one in instance.all_logs(run.run_id) if one.level == 20]
    metadata = run.asset_materializations_for_node("outcome_model")[0].metadata
    said = str(metadata["what_happened"].value)
    assert metadata["new"].value is False
    assert said in logged
    return said


def test_what_was_rolled_back_is_staged_again_for_a_person_who_says_why(resources) -> None:
    registry = resources["registry"]
    registry.tags[2] |= ROLLED_BACK | APPROVED
    said = trained_again(resources)
    assert said.startswith("version 2 was made from the same data by the same recipe and was rolled back by Ada")
    assert said.endswith(f"it is staged again: {AGAIN}")
    assert registry.aliases == {PRODUCTION: 1, STAGING: 2}
    assert registry.tags[2] == SAME | ROLLED_BACK | {"staged_again_because": AGAIN}, "an old approval is none"


@pytest.mark.parametrize("tag", [SCHEDULE_NAME_TAG, SENSOR_NAME_TAG])
def test_what_was_rolled_back_does_not_come_back_by_itself(resources, tag: str) -> None:
    resources["registry"].tags[2] |= ROLLED_BACK
    assert "only a training by hand" in trained_again(resources, "weekly schedule", {tag: "weekly_retraining"})
    assert resources["registry"].aliases == {PRODUCTION: 1}


def test_nor_without_a_reason_nor_after_another_training(resources) -> None:
    registry = resources["registry"]
    registry.tags |= {3: {}}
    registry.aliases[STAGING] = 3
    assert "has lost its place to another; only a training by hand with a `reason`" in trained_again(resources, None)
    assert registry.aliases == {PRODUCTION: 1, STAGING: 3}


@pytest.mark.parametrize(("alias", "role"), [(PRODUCTION, "is in production"), (STAGING, "is staged already")])
def test_a_version_with_a_role_keeps_it(resources, alias: str, role: str) -> None:
    registry = resources["registry"]
    registry.aliases = {PRODUCTION: 1} | {alias: 2}
    before = dict(registry.aliases)
    assert trained_again(resources).endswith(f"{role}; nothing to add")
    assert registry.aliases == before


def test_the_version_before_may_be_tried_again(resources) -> None:
    registry = resources["registry"]
    registry.aliases[PREVIOUS] = 2
    assert "was in production before; it is staged again" in trained_again(resources)
    assert registry.aliases == {PRODUCTION: 1, PREVIOUS: 2, STAGING: 2}


def test_where_nothing_is_staged_the_gate_says_what_became_of_the_last_version(resources) -> None:
    resources["registry"].tags[2] |= ROLLED_BACK
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([promotion_gate], instance=instance, resources=resources)
    why = "no version is staged; version 2 was rolled back by Ada on 2026-03-13 (odd draws)"
    assert run.asset_materializations_for_node("promotion_gate")[0].metadata["why"].value == why
    assert resources["lake"].read_json(reports.PROMOTION_GATE)["conditions"][0]["why"] == why
