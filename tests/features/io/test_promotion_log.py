"""Whether a decision stands behind the version in production, and which version a rollback restores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from features.errors import ModelUnavailableError
from features.io import promotion_log, report_files
from features.io.registry import PREVIOUS, PRODUCTION, ModelVersion
from features.io.store import Lake

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)


class Versions:
    """A registry with the given versions and aliases."""

    def __init__(self, aliases: dict[str, int], *versions: ModelVersion) -> None:
        self._aliases = aliases
        self._versions = versions

    def by_alias(self, alias: str, /) -> ModelVersion | None:
        return next((version for version in self._versions if version.version == self._aliases.get(alias)), None)

    def versions(self) -> Sequence[ModelVersion]:
        return self._versions


def version(number: int, *events: str) -> ModelVersion:
    return ModelVersion(number, "run", NOW, {f"{event}_at": NOW.isoformat() for event in events})


def decision(number: int, replaced: int | None = None, action: str = "promote") -> dict[str, Any]:
    entry = {"action": action, "version": number, "replaced": replaced, "by": "Ada", "reason": "better"}
    return {**entry, "at": NOW.isoformat(), "evidence": ""}


FIRST, SECOND = decision(1), decision(2, 1)
RESTORED = decision(1, 2, "rollback")


@pytest.mark.parametrize(
    ("production", "past", "why"),
    [
        (version(2, "promoted"), [FIRST, SECOND], None),
        (version(2, "promoted"), [FIRST], None),
        (version(1, "promoted", "restored"), [FIRST, SECOND, RESTORED], None),
        (None, [], None),
        (version(3), [FIRST, SECOND], "version 3 is in production without a decision"),
        (version(1, "promoted"), [FIRST, SECOND], "the last decision put version 2 into production"),
        (version(3), [], "no decision is recorded"),
        (None, [FIRST, SECOND], "no version is in production"),
    ],
    ids=["decided", "not logged yet", "restored", "empty", "other", "moved back", "no log", "removed"],
)
def test_undecided_production_is_described(production: ModelVersion | None, past: list[Any], why: str | None) -> None:
    """Who moved the alias in MLflow is unknown, so the sentence names the version and the last decision."""
    described = promotion_log.describe_undecided(production, past)
    assert (described is None) == (why is None)
    assert (why or "") in (described or "")


@pytest.mark.parametrize(
    ("aliases", "versions", "past", "restored"),
    [
        ({PRODUCTION: 2, PREVIOUS: 1}, [version(1), version(2)], [FIRST, SECOND], [1]),
        ({PRODUCTION: 3, PREVIOUS: 1}, [version(1), version(2), version(3)], [FIRST, SECOND], [2, 1]),
        ({PRODUCTION: 3}, [version(1), version(2), version(3)], [FIRST, SECOND], [2, 1]),
        ({PREVIOUS: 1}, [version(1)], [FIRST, SECOND], [1]),
        ({PRODUCTION: 3}, [version(1), version(3)], [FIRST, SECOND], [1]),
        ({PRODUCTION: 1}, [version(1), version(2, "rolled_back")], [FIRST, SECOND, RESTORED], []),
        ({PRODUCTION: 1}, [version(1)], [FIRST], []),
    ],
    ids=["promoted", "moved", "moved without previous", "deleted", "both deleted", "rolled back", "first"],
)
def test_rollback_restores_the_last_version_that_was_decided_on(
    aliases: dict[str, int], versions: list[ModelVersion], past: list[Any], restored: list[int]
) -> None:
    """A version that was rolled back, or deleted in MLflow, does not come back."""
    found = promotion_log.restorable_versions(Versions(aliases, *versions), past)
    assert [candidate.version for candidate in found] == restored


def test_version_without_decision_is_replaced_if_decisions_are_required(tmp_path) -> None:
    lake = Lake(str(tmp_path))
    lake.write_json(report_files.PROMOTIONS, {"promotions": [FIRST, SECOND]})
    moved = Versions({PRODUCTION: 3}, version(1), version(2), version(3))
    served, notice = promotion_log.version_to_serve(moved, lake, require_decision=False)
    assert (served.version, notice) == (3, None)
    served, notice = promotion_log.version_to_serve(moved, lake, require_decision=True)
    assert served.version == 2
    assert notice is not None
    assert "version 3 is in production without a decision" in notice
    with pytest.raises(ModelUnavailableError, match="version 3 is in production without a decision"):
        promotion_log.version_to_serve(Versions({PRODUCTION: 3}, version(3)), lake, require_decision=True)
    lake.write_bytes(report_files.PROMOTIONS, b"{")
    served, _ = promotion_log.version_to_serve(
        Versions({PRODUCTION: 2}, version(2, "promoted")), lake, require_decision=True
    )
    assert served.version == 2, "tags tell the decision while the log is damaged"
