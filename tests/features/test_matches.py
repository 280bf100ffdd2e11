"""Identity, outcome, and what was known when."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInputError
from features.matches import (
    RESULT_COLUMNS,
    SCHEMA,
    Status,
    as_known_at,
    build_match_id,
    conform,
    is_known,
    outcomes,
    parse_match_id,
    with_match_ids,
)
from features.slugs import slug


def test_a_match_id_is_made_of_slugs_and_has_no_date() -> None:
    match_id = build_match_id("eng-premier-league", "2025-26", "Brighton & Hove Albion", "Nott'm Forest")
    assert match_id == "eng-premier-league-2025-26-brighton-and-hove-albion-nottm-forest"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("1. FC Köln", "1-fc-koln"), ("Saint-Étienne", "saint-etienne"), ("Brøndby", "brondby"), ("Preußen", "preussen")],
)
def test_slugs_are_plain_ascii(name: str, expected: str) -> None:
    assert slug(name) == expected


@given(st.sampled_from(["eng-premier-league", "ger-2-bundesliga", "usa-mls"]), st.sampled_from(["2025-26", "2025"]))
def test_a_match_id_can_be_taken_apart_again(competition: str, season: str) -> None:
    ref = parse_match_id(build_match_id(competition, season, "Hannover 96", "Schalke 04", meeting=2))
    assert (ref.competition, ref.season, ref.clubs) == (competition, season, "hannover-96-schalke-04-2")


@pytest.mark.parametrize("bad", ["", "arsenal-chelsea", "x" * 5000, "eng-premier-league-2025-26-", "../../etc"])
def test_what_is_no_match_id_is_refused_with_an_example(bad: str) -> None:
    with pytest.raises(InvalidInputError, match="for example"):
        parse_match_id(bad)


def _table(**columns: object) -> pd.DataFrame:
    base = {
        "match_id": "x",
        "competition": "eng-premier-league",
        "season": "2025-26",
        "kick_off": pd.Timestamp("2026-01-10T15:00Z"),
        "kick_off_exact": True,
        "home_team": "Arsenal",
        "away_team": "Chelsea",
        "neutral": False,
        "status": Status.PLAYED.value,
        "awarded": False,
        "home_goals": 2.0,
        "away_goals": 1.0,
        "source": "test",
    }
    return conform(pd.DataFrame([{**base, **columns}]))


def test_the_second_meeting_at_one_ground_in_a_season_gets_a_number() -> None:
    later = _table(kick_off=pd.Timestamp("2026-04-01T15:00Z"))
    matches = with_match_ids(pd.concat([later, _table()], ignore_index=True))
    assert matches["match_id"].str.endswith("-2").tolist() == [False, True]
    assert matches["kick_off"].is_monotonic_increasing


def test_a_first_meeting_that_is_postponed_past_the_second_keeps_its_id() -> None:
    first = _table(matchday=5)
    second = _table(matchday=24, kick_off=pd.Timestamp("2026-04-01T15:00Z"))
    postponed = first.assign(kick_off=pd.Timestamp("2026-05-20T19:00Z"), status=Status.POSTPONED.value)
    for first_meeting in (first, postponed):
        ids = with_match_ids(pd.concat([first_meeting, second], ignore_index=True)).set_index("matchday")["match_id"]
        assert ids[24] == ids[5] + "-2"


def test_outcomes_are_numbered_home_draw_away() -> None:
    scores = pd.concat([_table(), _table(away_goals=2.0), _table(away_goals=5.0)])
    assert outcomes(scores).tolist() == [0, 1, 2]


def test_a_match_without_a_score_has_no_outcome() -> None:
    with pytest.raises(InvalidInputError, match="no score"):
        outcomes(_table(home_goals=np.nan))


def test_a_result_is_known_three_hours_after_kick_off() -> None:
    assert not is_known(_table(), datetime(2026, 1, 10, 17, 59, tzinfo=UTC)).any()
    assert is_known(_table(), datetime(2026, 1, 10, 18, tzinfo=UTC)).all()


def test_without_a_time_of_day_a_result_is_known_when_its_day_is_over() -> None:
    table = _table(kick_off_exact=False)
    assert not is_known(table, datetime(2026, 1, 10, 23, 59, tzinfo=UTC)).any()
    assert is_known(table, datetime(2026, 1, 11, tzinfo=UTC)).all()


def test_a_moment_without_timezone_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="timezone"):
        is_known(_table(), datetime(2026, 1, 10))  # noqa: DTZ001 - that is what is refused


def test_what_was_not_over_yet_shows_nothing_of_its_result() -> None:
    table = _table(closing_home=2.0, home_shots=9.0, awarded=True)
    seen = as_known_at(table, datetime(2026, 1, 10, 16, tzinfo=UTC))
    assert seen["status"].item() == Status.SCHEDULED
    assert seen[list(RESULT_COLUMNS)].isna().all(axis=None)
    assert not seen["awarded"].item()
    assert table["home_goals"].item() == 2.0, "the given table is not touched"


def test_before_kick_off_odds_are_seen_from_when_they_were_known_and_after_it_always() -> None:
    odds = {"odds_home": 2.0, "odds_draw": 3.4, "odds_away": 3.9}
    table = _table(**odds, odds_known_at=pd.Timestamp("2026-01-09T18:00Z"))
    for as_of, there in (("2026-01-09T17:59", False), ("2026-01-09T18:00", True), ("2026-01-12T00:00", True)):
        seen = as_known_at(table, datetime.fromisoformat(as_of).replace(tzinfo=UTC))
        assert seen[[*odds, "odds_known_at"]].notna().all(axis=None) == there, as_of
    undated = _table(**odds)
    assert as_known_at(undated, datetime(2026, 1, 10, 14, 59, tzinfo=UTC))[list(odds)].isna().all(axis=None)
    assert as_known_at(undated, datetime(2026, 1, 11, tzinfo=UTC))[list(odds)].notna().all(axis=None)
    assert table["odds_home"].item() == 2.0, "the given table is not touched"


def test_conform_fills_optional_columns_and_refuses_missing_ones() -> None:
    assert list(_table().columns) == SCHEMA.names
    assert _table()["odds_home"].isna().all()
    with pytest.raises(InvalidInputError, match="home_team"):
        conform(_table().drop(columns="home_team"))
