"""Each forecast of a file finds its match, or is refused by row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.io.forecast_file import read_forecasts
from features.io.forecast_matching import MatchedForecasts, match_forecasts
from features.io.sources.club_aliases import load_aliases
from features.matches import Status, conform
from tests.support.seasons import FOUR_CLUBS, season_of

HEADER = "date,competition,season,home_team,away_team,home,draw,away,made_at\n"


@pytest.fixture(scope="module")
def matches() -> pd.DataFrame:
    """A season of the Championship, one of a league of its own with the same clubs, and one of both to come."""
    seasons = [
        season_of("eng-championship", "2026-27", FOUR_CLUBS),
        season_of("xyz-friends", "2026-27", FOUR_CLUBS[:2], "2026-09-01"),
        season_of("eng-championship", "2027-28", [("Leeds United", "Burnley", None, None)], "2027-08-01"),
    ]
    table = conform(pd.concat(seasons, ignore_index=True))
    table.loc[2, "awarded"] = True
    table.loc[11, "kick_off_exact"] = False
    return table


def found(matches: pd.DataFrame, *rows: str) -> MatchedForecasts:
    file = read_forecasts("f.csv", (HEADER + "\n".join(rows)).encode())
    return match_forecasts(file, matches, load_aliases())


def row(text: str, made_at: str = "2026-07-01") -> str:
    """A row from date, competition, season and clubs, with probabilities."""
    return f"{text},0.5,0.3,0.2,{made_at}"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-08-01,,,Leeds United,Burnley", 0),
        ("2026-08-01,,,Leeds,burnley", 0),
        ("2026-08-02,,,LEEDS UTD,Stoke", 1),
        ("2026-08-05,Championship,,Burnley,Stoke City FC", 4),
        ("2026-08-06,eng-championship,,Burnley,Stoke City", 4),
        (",,2026-27,Hull,Stoke City", 11),
        (",eng-championship,2026/27,Hull,Stoke City", 11),
        (",,,Hull,Stoke City", 11),
        ("2026-09-01,E1,,Leeds United,Burnley", None),
        ("2026-09-01,,,Leeds United,Burnley", 12),
        ("2026-09-02,xyz-friends,,Leeds United,Stoke city", 13),
    ],
)
def test_match_is_found_by_clubs_and_day_or_season(matches: pd.DataFrame, text: str, at: int | None) -> None:
    """Names resolve as everywhere; a day off is the same match; a league that is not here does not count."""
    result = found(matches, row(text))
    assert result.rows.tolist() == ([] if at is None else [at]), result.refused
    if at is not None:
        np.testing.assert_allclose(result.probabilities, [[0.5, 0.3, 0.2]])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-08-11,,,Leeds United,Burnley", "is no match on 2026-08-11; they met on 2026-08-01, 2026-09-01"),
        ("2026-08-01,,,Burnley,Burnley", "is no match"),
        ("2026-08-01,,,Leedz Unitet,Burnley", "club 'Leedz Unitet' is unknown; nearest known: Leeds United"),
        ("2026-08-01,,,,Burnley", "a club is empty"),
        (",,2026-27,Leeds United,Burnley", "may be 2 matches: add the column"),
        (",,seventies,Leeds United,Burnley", "seventies"),
    ],
)
def test_match_that_is_unknown_or_ambiguous_is_refused(matches: pd.DataFrame, text: str, reason: str) -> None:
    result = found(matches, row(text))
    (refusal,) = result.refused
    assert refusal[:2] == ("f.csv", 2)
    assert reason in refusal.reason
    assert len(result.rows) == 0


@pytest.mark.parametrize(
    ("at", "made_at", "is_late"),
    [
        (0, "2026-08-01T14:59Z", False),
        (0, "2026-08-01T15:00Z", True),
        (0, "2026-08-01T16:30+02:00", False),
        (0, "2026-07-31", False),
        (0, "2026-08-01", True),
        (11, "2026-08-11T23:59Z", False),
        (11, "2026-08-12T00:00Z", True),
    ],
)
def test_forecast_of_a_match_that_may_have_begun_is_refused(
    matches: pd.DataFrame, at: int, made_at: str, is_late: bool
) -> None:
    """If only the day of the match is known, it may have begun at midnight; so may a forecast of that day."""
    match = matches.iloc[at]
    result = found(
        matches, row(f"{match.kick_off.date()},eng-championship,,{match.home_team},{match.away_team}", made_at)
    )
    assert len(result.rows) == (not is_late), result.refused
    assert [("may have begun" in refusal.reason) for refusal in result.refused] == [True] * is_late


def test_every_row_is_scored_refused_or_without_a_result(matches: pd.DataFrame) -> None:
    """The second forecast of a match is refused; a fixture and an awarded match have no result on the pitch."""
    rows = [
        row("2026-08-01,,,Leeds United,Burnley"),
        row("2026-08-01,,,Leeds,Burnley"),
        row("2026-08-03,,,Leeds,Hull"),
        row("2027-08-01,,,Leeds,Burnley"),
        "2026-08-02,,,Leeds,Stoke,0.5,0.5,0.5,2026-07-01",
    ]
    result = found(matches, *rows)
    assert [(refusal.row, refusal.reason[:30]) for refusal in result.refused] == [
        (3, "eng-championship-2026-27-leeds"),
        (6, "the probabilities 0.5, 0.5, 0."),
    ]
    assert "is also forecast in f.csv row 2" in result.refused[0].reason
    assert result.without_result == 2
    assert matches.loc[14, "status"] == Status.SCHEDULED
    assert len(rows) == len(result.rows) + len(result.refused) + result.without_result


def test_match_id_is_enough(matches: pd.DataFrame) -> None:
    text = f"match_id,home,draw,away\n{matches['match_id'][3]},0.2,0.3,0.5\nnowhere,0.2,0.3,0.5\n"
    result = match_forecasts(read_forecasts("f.csv", text.encode()), matches, load_aliases())
    assert result.rows.tolist() == [3]
    assert [refusal.reason for refusal in result.refused] == ["there is no match 'nowhere'"]
