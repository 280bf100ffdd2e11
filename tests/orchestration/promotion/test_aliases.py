"""A change of aliases and its records is complete, or the next run completes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.errors import ModelUnavailableError, PromotionBlockedError
from features.io import promotion_log, report_files
from features.io.registry import PREVIOUS, PRODUCTION, STAGING, LoadedModel, ModelVersion, Registry
from features.io.store import Lake
from monitoring.conditions import Approval, Policy
from monitoring.gate import GateDecision
from orchestration.promotion import aliases
from orchestration.promotion.production_report import production_metadata

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone."""


class FakeRegistry(Registry):
    """Aliases and tags in memory; raises Killed after `changes_left` changes."""

    def __init__(self, staged: int = 2) -> None:
        super().__init__("")  # methods that are not faked have no server
        self.tags: dict[int, dict[str, str]] = {1: {}, 2: {}, 3: {}}
        self.aliases: dict[str, int] = {STAGING: staged}
        self.changes_left = 10**6
        self.damaged: set[int] = set()

    def load(self, version: ModelVersion) -> LoadedModel:
        if version.version in self.damaged:
            raise ModelUnavailableError(f"version {version.version} was not loaded: its artefact is damaged")
        return LoadedModel(version, None, ())

    def _change(self) -> None:
        if self.changes_left == 0:
            raise Killed
        self.changes_left -= 1

    def versions(self) -> list[ModelVersion]:
        bearers = {n: tuple(sorted(a for a, v in self.aliases.items() if v == n)) for n in self.tags}
        return [ModelVersion(n, "run", NOW, dict(self.tags[n]), bearers[n]) for n in sorted(self.tags, reverse=True)]

    def version(self, number: int) -> ModelVersion | None:
        return next((version for version in self.versions() if version.version == number), None)

    def by_alias(self, alias: str) -> ModelVersion | None:
        return self.version(self.aliases[alias]) if alias in self.aliases else None

    def set_alias(self, alias: str, version: int) -> None:
        self._change()
        self.aliases[alias] = version

    def remove_alias(self, alias: str) -> None:
        self._change()
        del self.aliases[alias]

    def set_tags(self, version: int, tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            self._change()
            self.tags[version][name] = value

    def remove_tags(self, version: int, names: Iterable[str]) -> None:
        for name in set(names) & set(self.tags[version]):
            self._change()
            del self.tags[version][name]


class MortalLake(Lake):
    """A lake whose writer may be killed before it writes."""

    def __init__(self, root: str, registry: FakeRegistry) -> None:
        super().__init__(root)
        self._registry = registry

    def write_json(self, path: str, document: dict[str, Any]) -> None:
        self._registry._change()
        super().write_json(path, document)


def judged(candidate: int, production: int, policy: Policy = Policy.AUTO, evidence: str = "e1") -> GateDecision:
    return GateDecision(candidate, production, policy, NOW, 120, (), evidence)


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    """Version 1 is in production as the first version, and version 2 is staged."""
    registry = FakeRegistry()
    first = registry.version(1)
    assert first is not None
    aliases.promote_first(registry, Lake(str(tmp_path)), first, NOW - timedelta(days=200))
    return registry


@pytest.fixture
def lake(tmp_path: Path, registry: FakeRegistry) -> Lake:
    return MortalLake(str(tmp_path), registry)


def versions(lake: Lake) -> list[tuple[str, int, int | None]]:
    return [(entry["action"], entry["version"], entry["replaced"]) for entry in promotion_log.history(lake)]


@pytest.mark.parametrize("changes", range(9))
def test_interrupted_promotion_is_completed_by_the_next_run(registry: FakeRegistry, lake: Lake, changes: int) -> None:
    registry.changes_left = changes
    try:
        aliases.promote(registry, lake, judged(2, 1))
        done = True
    except Killed:
        done = False
    registry.changes_left = 10**6
    assert done is (changes >= 8), "the last case is not interrupted"
    assert registry.aliases.get(PREVIOUS) in (None, 1)
    if registry.aliases[PRODUCTION] == 2:
        assert registry.tags[2]["promoted_because"], "no version is in production without a reason"
        aliases.complete_promotion(registry, lake)
    else:
        assert PREVIOUS not in registry.aliases
        assert versions(lake) == [("promote", 1, None)]
        aliases.promote(registry, lake, judged(2, 1))
    assert registry.aliases == {STAGING: 2, PRODUCTION: 2, PREVIOUS: 1}
    assert versions(lake) == [("promote", 1, None), ("promote", 2, 1)]
    assert not aliases.has_incomplete_promotion(registry, lake)
    aliases.complete_promotion(registry, lake)
    assert len(promotion_log.history(lake)) == 2, "no change is recorded twice"


@pytest.mark.parametrize("changes", range(13))
def test_interrupted_rollback_is_completed_by_the_next_one(registry: FakeRegistry, lake: Lake, changes: int) -> None:
    aliases.promote(registry, lake, judged(2, 1))
    registry.changes_left = changes
    try:
        aliases.rollback(registry, lake, "Ada", "odd draws", NOW)
    except Killed:
        registry.changes_left = 10**6
        if registry.aliases[PRODUCTION] == 1:
            assert aliases.has_incomplete_promotion(registry, lake)
            aliases.complete_promotion(registry, lake)
        else:
            aliases.rollback(registry, lake, "Ada", "odd draws", NOW)
    assert registry.aliases == {PRODUCTION: 1}
    assert versions(lake) == [("promote", 1, None), ("promote", 2, 1), ("rollback", 1, 2)]
    assert registry.tags[1]["restored_because"] == "odd draws"
    assert registry.tags[2]["rolled_back_by"] == "Ada"


def test_history_shows_who_promoted_what_when_and_why(registry: FakeRegistry, lake: Lake) -> None:
    approval = Approval(2, "Ada", "better on 120 matches", "e1", NOW)
    aliases.record_approval(registry, approval)
    aliases.promote(registry, lake, judged(2, 1, Policy.MANUAL))
    assert registry.tags[2]["promoted_at"] == NOW.isoformat()
    assert registry.tags[2]["promoted_instead_of"] == "1"
    seen = production_metadata(registry, lake)
    assert seen["version"].value == "2"
    assert seen["because"].value == "Ada, 2026-03-13T12:00: better on 120 matches"
    assert str(seen["history"].value).splitlines() == [
        "| at | version |  | instead of | by | why | evidence |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| 2026-03-13 12:00 | 2 | promoted | 1 | Ada | better on 120 matches | e1 |",
        "| 2025-08-25 12:00 | 1 | promoted | – | touchline | first version; better than the base rate, "
        "not worse than plain Elo | – |",
    ]
    aliases.rollback(registry, lake, "Grace", "odd draws", NOW + timedelta(days=1))
    seen = production_metadata(registry, lake)
    assert seen["because"].value == "Grace, 2026-03-14T12:00: odd draws"
    newest = str(seen["history"].value).splitlines()[2]
    assert newest == "| 2026-03-14 12:00 | 1 | rolled back | 2 | Grace | odd draws | – |"


def test_who_comes_second_to_promote_a_version_finds_it_done(registry: FakeRegistry, lake: Lake) -> None:
    aliases.promote(registry, lake, judged(2, 1))
    before = promotion_log.history(lake)
    aliases.promote(registry, lake, judged(2, 1))
    assert promotion_log.history(lake) == before
    with pytest.raises(PromotionBlockedError, match="aliases moved"):
        aliases.promote(registry, lake, judged(3, 1))


def test_restored_version_promoted_again_has_the_newer_reason(registry: FakeRegistry, lake: Lake) -> None:
    aliases.promote(registry, lake, judged(2, 1))
    aliases.rollback(registry, lake, "Ada", "odd draws", NOW + timedelta(days=1))
    registry.aliases[STAGING] = 3
    aliases.promote(registry, lake, replace(judged(3, 1), as_of=NOW + timedelta(days=2)))
    registry.aliases[STAGING] = 1
    aliases.promote(registry, lake, replace(judged(1, 3), as_of=NOW + timedelta(days=3)))
    assert not [name for name in registry.tags[1] if name.startswith("restored")]
    assert [entry[1] for entry in versions(lake)] == [1, 2, 1, 3, 1]
    assert registry.aliases[PREVIOUS] == 3


def test_approval_of_other_evidence_is_not_the_reason(registry: FakeRegistry, lake: Lake) -> None:
    aliases.record_approval(registry, Approval(2, "Ada", "of last month", "e0", NOW))
    aliases.promote(registry, lake, judged(2, 1, Policy.AUTO, "e1"))
    assert registry.tags[2]["promoted_by"] == "touchline"


def test_damaged_history_is_rebuilt_from_the_versions(registry: FakeRegistry, lake: Lake) -> None:
    aliases.promote(registry, lake, judged(2, 1))
    before = promotion_log.history(lake)
    lake.write_bytes(report_files.PROMOTIONS, b"{")
    assert aliases.has_incomplete_promotion(registry, lake)
    aliases.complete_promotion(registry, lake)
    assert promotion_log.history(lake) == before


def test_alias_moved_by_hand_adds_no_history(registry: FakeRegistry, lake: Lake) -> None:
    aliases.promote(registry, lake, judged(2, 1))
    registry.aliases[PRODUCTION] = 1
    aliases.complete_promotion(registry, lake)
    assert len(promotion_log.history(lake)) == 2
    registry.aliases[PRODUCTION] = 3
    aliases.complete_promotion(registry, lake)
    assert len(promotion_log.history(lake)) == 2


def test_rollback_ends_a_move_by_hand(registry: FakeRegistry, lake: Lake) -> None:
    """The version of the last decision returns, although no alias `previous` points to it."""
    registry.aliases[PRODUCTION] = 3
    seen = production_metadata(registry, lake)
    assert seen["version"].value == "3"
    assert "version 3 is in production without a decision" in seen["because"].value
    assert aliases.rollback(registry, lake, "Ada", "moved by mistake", NOW) == 1
    assert (registry.aliases[PRODUCTION], versions(lake)[-1]) == (1, ("rollback", 1, 3))
    assert registry.tags[3]["rolled_back_by"] == "Ada"


def test_rollback_after_a_move_by_hand_keeps_previous(registry: FakeRegistry, lake: Lake) -> None:
    aliases.promote(registry, lake, judged(2, 1))
    registry.aliases[PRODUCTION] = 3
    assert aliases.rollback(registry, lake, "Ada", "moved by mistake", NOW) == 2
    assert registry.aliases == {STAGING: 2, PRODUCTION: 2, PREVIOUS: 1}
    assert aliases.rollback(registry, lake, "Ada", "odd draws", NOW) == 1


def test_rollback_replaces_a_version_that_was_deleted(registry: FakeRegistry, lake: Lake) -> None:
    """MLflow removes the aliases of a version that it deletes."""
    aliases.promote(registry, lake, judged(2, 1))
    del registry.tags[2], registry.aliases[PRODUCTION], registry.aliases[STAGING], registry.aliases[PREVIOUS]
    assert aliases.rollback(registry, lake, "Ada", "deleted by mistake", NOW) == 1
    assert versions(lake)[-1] == ("rollback", 1, None)


def test_rollback_to_a_version_that_cannot_be_loaded_is_refused(registry: FakeRegistry, lake: Lake) -> None:
    aliases.promote(registry, lake, judged(2, 1))
    registry.damaged = {1}
    with pytest.raises(PromotionBlockedError, match="version 1 was not loaded: its artefact is damaged; delete"):
        aliases.rollback(registry, lake, "Ada", "odd draws", NOW)
    assert registry.aliases[PRODUCTION] == 2
