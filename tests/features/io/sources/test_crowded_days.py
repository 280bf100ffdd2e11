"""A day on which a club plays more than once is told, and every row of a source is accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.io.settings import Settings
from features.io.sources import load
from features.io.sources.crowded_days import crowded_days
from features.io.sources.inspection import describe
from features.matches import conform, with_match_ids

PL = "eng-premier-league"


def test_no_day_of_the_bundled_matches_is_in_doubt(premier_league: pd.DataFrame) -> None:
    """Real seasons give no alarm, not even where postponed matches share a day with another round."""
    assert crowded_days(premier_league) == []


@pytest.mark.medium
def test_rounds_that_bear_one_day_are_told_and_rows_add_up(site: Any, tmp_path: Path) -> None:
    """Inspect names the day, a club and the rounds; rows are accepted, rejected or skipped."""
    pairs = ["Arsenal Chelsea", "Chelsea Everton", "Everton Arsenal", "Liverpool Arsenal", "Arsenal Brentford"]
    matches = [
        {"round": f"Matchday {number}", "date": "2025-11-15", "time": "15:00", "score": {"ft": [1, 0]}}
        | dict(zip(("team1", "team2"), (f"{name} FC" for name in pair.split()), strict=True))
        for number, pair in enumerate(pairs, start=14)
    ]
    left_out = [{**matches[0], "status": "annulled"}, {**matches[0], "date": None, "score": None}]
    wrong = [{**matches[0], "status": "replay"}]
    site.files["/2025-26/en.1.json"] = json.dumps({"matches": [*matches, *left_out, *wrong]}).encode()
    settings = Settings(source="openfootball", openfootball_url=site.url, home=tmp_path, first_season=2025)
    as_of = pd.Timestamp("2026-03-13", tz="UTC").to_pydatetime()
    result = load(settings, PL, now=as_of)
    expected = "2025-11-15: Arsenal plays 4 matches, as do 2 more clubs; the rounds 14, 15, 16, 17, 18 bear this day"
    assert result.report["crowded"] == [expected]
    assert f"day in doubt: {expected}" in describe(PL, result, as_of)
    counts = {name: result.report[name] for name in ("rows", "accepted", "rejected", "skipped", "quarantined")}
    assert counts == {"rows": 8, "accepted": 5, "rejected": 1, "skipped": 2, "quarantined": 3}
    assert len(result.matches) == 5


def test_a_day_with_one_club_twice_names_it() -> None:
    """Without rounds, the day and the club are what can be told."""
    row = {"competition": "isl-premier", "season": "2025", "kick_off_exact": False, "neutral": False}
    row |= {"status": "scheduled", "awarded": False, "source": "files"}
    days = pd.to_datetime(["2025-05-03"] * 2 + ["2025-05-04"], utc=True)
    clubs = [("Reef", "Cape"), ("Cape", "Lagoon"), ("Reef", "Lagoon")]
    rows = [
        {**row, "kick_off": day, "home_team": home, "away_team": away}
        for day, (home, away) in zip(days, clubs, strict=True)
    ]
    assert crowded_days(conform(with_match_ids(pd.DataFrame(rows)))) == ["2025-05-03: Cape plays 2 matches"]
