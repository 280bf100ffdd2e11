"""A match that a source lists twice is one match; a play-off is another."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from features.io.settings import Settings
from features.io.sources import SourceResult, load
from features.io.sources.inspection import describe
from features.io.sources.repeated_listings import single_listings
from features.rating_history import compute_ratings
from tests.support.seasons import FOUR_CLUBS, PLAY_OFFS, Score, season_of

HEADER = "competition,season,kick_off,home_team,away_team,home_goals,away_goals\n"
ROWS = (
    "eng-premier-league,2025-26,2025-12-27T15:00+00:00,Arsenal,Everton,,\n"
    "eng-premier-league,2025-26,2026-01-21T19:45+00:00,Arsenal,Everton,2,1\n"
    "eng-premier-league,2025-26,2025-12-28T15:00+00:00,Chelsea,Fulham,3,0\n"
    "eng-premier-league,2025-26,2026-01-22T19:45+00:00,Chelsea,Fulham,3,0\n"
)


def load_rows(tmp_path: Path, rows: str, competition: str) -> SourceResult:
    """Load rows of a file of one's own."""
    (tmp_path / "mine.csv").write_text(HEADER + rows)
    return load(Settings(home=tmp_path, source="files", files=tmp_path / "mine.csv"), competition)


def test_a_moved_match_is_kept_once_and_its_old_day_is_told(tmp_path: Path) -> None:
    """The played listing is kept, or the later one, and the other is quarantined by file and row."""
    result = load_rows(tmp_path, ROWS, "eng-premier-league")
    assert result.matches["match_id"].tolist() == [
        "eng-premier-league-2025-26-arsenal-everton",
        "eng-premier-league-2025-26-chelsea-fulham",
    ]
    assert result.matches["kick_off"].dt.day.tolist() == [21, 22]
    assert [(defect.file, defect.row) for defect in result.quarantine.itertuples()] == [
        ("mine.csv", 2),
        ("mine.csv", 4),
    ]
    assert result.quarantine["reason"].iloc[0] == (
        "Arsenal against Everton (no result) on 2025-12-27 is listed again: a pair meets once at each ground, "
        "kept 2-1 on 2026-01-21 (mine.csv row 3)"
    )
    once = load_rows(tmp_path, ROWS.replace(ROWS.splitlines()[2] + "\n", ""), "eng-premier-league").matches
    pd.testing.assert_frame_equal(compute_ratings(result.matches).team_states, compute_ratings(once).team_states)


def test_two_fixtures_of_one_match_are_the_later_one(tmp_path: Path) -> None:
    """Before it is played, the match stands on its new day."""
    rows = ROWS.splitlines(keepends=True)
    matches = load_rows(tmp_path, rows[0] + rows[1].replace("2,1", ","), "eng-premier-league").matches
    assert matches["kick_off"].dt.day.tolist() == [21]


def test_a_result_is_kept_rather_than_a_later_fixture(tmp_path: Path) -> None:
    """A fixture whose match is played already is no second meeting."""
    rows = ROWS.splitlines(keepends=True)
    moved = rows[0].replace("Everton,,", "Everton,0,0") + rows[1].replace("2,1", ",")
    matches = load_rows(tmp_path, moved, "eng-premier-league").matches
    assert (matches["kick_off"].dt.day.item(), matches["status"].item()) == (27, "played")


def test_where_the_format_is_unknown_both_are_kept_and_told(tmp_path: Path) -> None:
    """Pairs may meet several times, so the same score within days, or a fixture left over, is only a question."""
    rows = ROWS.replace("eng-premier-league", "atl-island-league").replace("2026-01-22", "2025-12-31")
    result = load_rows(tmp_path, rows, "atl-island-league")
    assert len(result.matches) == 4
    assert result.report["listed_twice"] == [
        "Arsenal against Everton: a fixture on 2025-12-27 (mine.csv row 2), a result on 2026-01-21 (mine.csv row 3)",
        "Chelsea against Fulham: 3-0 on 2025-12-28 (mine.csv row 4) and on 2025-12-31 (mine.csv row 5)",
    ]
    told = describe("atl-island-league", result, pd.Timestamp("2026-03-01", tz="UTC").to_pydatetime())
    assert "  listed twice? Arsenal against Everton: a fixture on 2025-12-27" in told


def test_play_offs_are_second_meetings() -> None:
    """After the regular matches of both clubs, a further meeting is a match of its own, even with the same score."""
    same: Score = ("Hull City", "Stoke City", 1, 0)
    season = season_of("eng-championship", "2026-27", [*FOUR_CLUBS, *PLAY_OFFS[1:], same])
    kept, defects, _ = single_listings(season)
    assert (len(kept), defects) == (15, [])
    assert kept["match_id"].str.endswith("-2").sum() == 3


@pytest.mark.parametrize("competition", ["eng-championship", "sco-championship"])
def test_as_many_meetings_are_kept_as_the_format_has(competition: str) -> None:
    """Where pairs meet twice at each ground, the third listing is one too many; elsewhere, the second is."""
    meetings = 2 if competition == "sco-championship" else 1
    early: list[Score] = [("A", "B", 1, 0), ("C", "D", 0, 0), ("A", "B", 1, 0), ("A", "B", None, None)]
    kept, defects, _ = single_listings(season_of(competition, "2026-27", early))
    assert len(kept) == 1 + meetings
    assert len(defects) == 3 - meetings
    assert (kept["status"] == "played").all()


def test_a_replayed_match_counts_once() -> None:
    """Of two different results in mid-season, the later one is kept."""
    season = season_of("eng-championship", "2026-27", [("A", "B", 1, 0), ("C", "D", 0, 0), ("A", "B", 0, 2)])
    kept, (defect,), _ = single_listings(season)
    assert kept["away_goals"].max() == 2
    assert "kept 0-2" in defect.reason
