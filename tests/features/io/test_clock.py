"""The clock: the time as of which the platform works."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.errors import InvalidInputError
from features.io.clock import Clock
from features.io.settings import Settings
from features.io.sources.bundled import REPLAY_AS_OF


def test_the_bundled_season_is_replayed_from_its_usual_moment_and_moves_by_weeks(tmp_path: Path) -> None:
    clock = Clock(Settings(home=tmp_path / "home"))
    assert (clock.replaying, clock.kind) == (True, "replay")
    assert clock.as_of() == REPLAY_AS_OF
    assert clock.advance(2) == REPLAY_AS_OF + timedelta(weeks=2)
    assert Clock(Settings(home=tmp_path / "home")).as_of() == REPLAY_AS_OF + timedelta(weeks=2)


def test_a_given_moment_wins_and_cannot_be_moved(tmp_path: Path) -> None:
    configured = datetime(2025, 11, 1, tzinfo=UTC)
    clock = Clock(Settings(home=tmp_path, as_of=configured))
    assert clock.as_of() == configured
    assert (clock.replaying, clock.kind) == (True, "fixed")
    with pytest.raises(InvalidInputError, match="TOUCHLINE_AS_OF"):
        clock.advance(1)


def test_live_sources_stand_at_the_real_time(tmp_path: Path) -> None:
    clock = Clock(Settings(home=tmp_path, source="football_data"))
    assert (clock.replaying, clock.kind) == (False, "now")
    before = datetime.now(UTC)
    assert before <= clock.as_of() <= datetime.now(UTC)
    with pytest.raises(InvalidInputError, match="real time"):
        clock.advance(1)


def test_a_broken_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "as_of").write_text("yesterday")
    with pytest.raises(InvalidInputError, match="delete the file"):
        Clock(Settings(home=tmp_path)).as_of()
