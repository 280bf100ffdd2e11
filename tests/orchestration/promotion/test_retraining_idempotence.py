"""Training that would reproduce an existing version: what happens to it, and where the outcome is reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from features.io import report_files
from features.io.clock import Clock
from features.io.registry import PREVIOUS, PRODUCTION, STAGING, ModelVersion
from features.io.sources import bundled
from features.io.sources.bundled import COMPETITION
from features.io.store import Lake
from features.matches import SCHEMA, as_known_at
from features.matrix import FEATURE_GROUPS, feature_frame
from features.rating_history import compute_ratings
from orchestration.assets.outcome_model import outcome_model
from orchestration.assets.promotion_gate import promotion_gate
from orchestration.settings import PipelineSettings
from orchestration.steps.training import IDENTITY, TrainingOptions, train

pytestmark = pytest.mark.medium

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)
ROLLED_BACK = {"rolled_back_by": "Ada", "rolled_back_because": "odd draws", "rolled_back_at": NOW.isoformat()}
APPROVED = {"approved_by": "Ada", "approved_because": "good", "approved_evidence": "e1", "approved_at": NOW.isoformat()}
AGAIN = "odd draws explained"


class Registry:
    """Version 1 is in production, version 2 has no role; nothing can be registered."""

    def __init__(self, identity: Mapping[str, str]) -> None:
        self.tags: dict[int, dict[str, str]] = {1: {}, 2: dict(identity)}
        self.aliases = {PRODUCTION: 1}

    def versions(self) -> list[ModelVersion]:
        bearers = {n: tuple(sorted(a for a, v in self.aliases.items() if v == n)) for n in self.tags}
        return [ModelVersion(n, "run", NOW, dict(self.tags[n]), bearers[n]) for n in sorted(self.tags, reverse=True)]

    def by_alias(self, alias: str) -> ModelVersion | None:
        return next((version for version in self.versions() if alias in version.aliases), None)

    def set_alias(self, alias: str, version: int) -> None:
        self.aliases[alias] = version

    def set_tags(self, version: int, tags: Mapping[str, str]) -> None:
        self.tags[version] |= tags

    def remove_tags(self, version: int, names: Iterable[str]) -> None:
        for name in names:
            self.tags[version].pop(name, None)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> PipelineSettings:
    """Settings of a home whose lake holds four seasons and their features, so that a training takes a second."""
    home = tmp_path_factory.mktemp("retraining")
    settings = PipelineSettings(
        home=home, as_of=NOW, mlflow_tracking_uri="http://127.0.0.1:9", first_season=2022, evaluation_first_season=2024
    )
    matches = bundled.load()
    matches = as_known_at(matches[matches["season"] >= "2022"].reset_index(drop=True), NOW)
    ratings = compute_ratings(matches)
    lake = Lake(settings.lake_root)
    lake.write_table("matches", COMPETITION, matches, schema=SCHEMA)
    lake.write_table("match_features", COMPETITION, feature_frame(matches, ratings.home, ratings.away))
    return settings


@pytest.fixture(scope="module")
def identity(settings: PipelineSettings) -> dict[str, str]:
    """The tags that identify the version that a training in that home produces."""
    lake = Lake(settings.lake_root)
    recipe = TrainingOptions(
        settings.seed, settings.evaluation_first_season, features=FEATURE_GROUPS[settings.features]
    )
    matches = lake.read_table("matches", COMPETITION, schema=SCHEMA)
    training = train(matches, lake.read_table("match_features", COMPETITION), recipe, NOW, "lake")
    return {name: training.tags[name] for name in IDENTITY}


@pytest.fixture
def resources(settings: PipelineSettings, identity: dict[str, str]) -> dict[str, Any]:
    return {
        "settings": settings,
        "lake": Lake(settings.lake_root),
        "clock": Clock(settings),
        "registry": Registry(identity),
    }


def retrain(resources: dict[str, Any], reason: str | None = AGAIN, tags: Mapping[str, str] | None = None) -> str:
    """Train; return the outcome from the metadata, which the run also logs at INFO."""
    config = {"ops": {"outcome_model": {"config": {"reason": reason} if reason else {}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([outcome_model], instance=instance, resources=resources, run_config=config, tags=tags)
        messages = [record.user_message for record in instance.all_logs(run.run_id) if record.level == 20]
    metadata = run.asset_materializations_for_node("outcome_model")[0].metadata
    outcome = str(metadata["what_happened"].value)
    assert metadata["new"].value is False
    assert outcome in messages
    return outcome


def test_rolled_back_version_is_staged_again_with_a_reason(resources: dict[str, Any], identity: dict[str, str]) -> None:
    registry = resources["registry"]
    registry.tags[2] |= ROLLED_BACK | APPROVED
    outcome = retrain(resources)
    assert outcome.startswith("version 2 has the same data and recipe and was rolled back by Ada")
    assert outcome.endswith(f"it is staged again: {AGAIN}")
    assert registry.aliases == {PRODUCTION: 1, STAGING: 2}
    assert registry.tags[2] == identity | ROLLED_BACK | {"staged_again_because": AGAIN}, "an old approval is removed"


@pytest.mark.parametrize("tag", ["dagster/schedule_name", "dagster/sensor_name"])
def test_rolled_back_version_is_not_restaged_automatically(resources: dict[str, Any], tag: str) -> None:
    resources["registry"].tags[2] |= ROLLED_BACK
    assert "only a manual training" in retrain(resources, "weekly schedule", {tag: "weekly_retraining"})
    assert resources["registry"].aliases == {PRODUCTION: 1}


def test_rolled_back_version_needs_a_reason(resources: dict[str, Any]) -> None:
    registry = resources["registry"]
    registry.tags |= {3: {}}
    registry.aliases[STAGING] = 3
    assert "was replaced in staging by another version; only a manual training with a `reason`" in retrain(
        resources, None
    )
    assert registry.aliases == {PRODUCTION: 1, STAGING: 3}


@pytest.mark.parametrize(("alias", "role"), [(PRODUCTION, "is in production"), (STAGING, "is staged already")])
def test_version_with_a_role_keeps_it(resources: dict[str, Any], alias: str, role: str) -> None:
    registry = resources["registry"]
    registry.aliases = {PRODUCTION: 1} | {alias: 2}
    before = dict(registry.aliases)
    assert retrain(resources).endswith(f"{role}; nothing to add")
    assert registry.aliases == before


def test_previous_version_may_be_staged_again(resources: dict[str, Any]) -> None:
    registry = resources["registry"]
    registry.aliases[PREVIOUS] = 2
    assert "was in production before; it is staged again" in retrain(resources)
    assert registry.aliases == {PRODUCTION: 1, PREVIOUS: 2, STAGING: 2}


def test_gate_says_why_the_last_version_is_not_staged(resources: dict[str, Any]) -> None:
    resources["registry"].tags[2] |= ROLLED_BACK
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([promotion_gate], instance=instance, resources=resources)
    why = "no version is staged; version 2 was rolled back by Ada on 2026-03-13 (odd draws)"
    assert run.asset_materializations_for_node("promotion_gate")[0].metadata["why"].value == why
    assert resources["lake"].read_json(report_files.PROMOTION_GATE)["conditions"][0]["why"] == why
