"""HTML of probabilities and matches."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.api_models import Match, Probabilities, TableRow
from ui.cards import headline_card, match_list, match_row, probability_bar, whole_percents
from ui.formatting import percentage

MATCH = {
    "match_id": "x-2025-26-a-b",
    "competition": "x",
    "season": "2025-26",
    "kick_off": "2026-03-14T15:00:00Z",
    "home_team": "<b>A & Co",
    "away_team": "B",
    "status": "scheduled",
}


@given(st.tuples(*[st.floats(0.001, 1)] * 3))
def test_whole_percents_add_up_to_100(weights: tuple[float, float, float]) -> None:
    total = sum(weights)
    home, draw, away = (weight / total for weight in weights)
    percents = whole_percents(Probabilities(home=home, draw=draw, away=away))
    assert sum(percents) == 100
    assert all(abs(whole - 100 * p) < 1 for whole, p in zip(percents, (home, draw, away), strict=True))


def test_bar_is_ordered_home_draw_away() -> None:
    html = probability_bar(Probabilities(home=0.2, draw=0.3, away=0.5), outcome="away")
    assert html.index("tl-home") < html.index("tl-draw") < html.index("tl-away tl-actual")
    assert "home win 20%, draw 30%, away win 50%" in html


def test_names_cannot_inject_html() -> None:
    assert "&lt;b&gt;A &amp; Co" in match_row(Match.model_validate(MATCH), UTC)


@pytest.mark.parametrize(("p", "text"), [(0, "–"), (0.004, "<1%"), (0.5, "50%"), (0.999, ">99%"), (1, "100%")])
def test_percentage_is_never_rounded_to_certainty(p: float, text: str) -> None:
    assert percentage(p) == text


def test_models_accept_new_fields() -> None:
    row = {"team": "A", "played": 1, "points": 3, "expected_points": 3.5, "positions": [1.0], "tie_break": "goals"}
    assert TableRow.model_validate(row | {"p_title": 1, "p_top_four": 1, "p_relegation": 0}).team == "A"


def test_matches_of_several_competitions_have_headings() -> None:
    x, y = (Match.model_validate(MATCH | {"competition": name}) for name in ("x", "y"))
    assert "tl-league" not in match_list([x, x], UTC, {"x": "The X"})
    html = match_list([x, y, x], UTC, {"x": "The X"})
    assert [part.split("<")[0] for part in html.split('"tl-league">')[1:]] == ["The X", "y"]
    assert html.count('class="tl-match"') == 3


def test_a_match_whose_time_is_unknown_shows_its_day_alone() -> None:
    """The API's time is then a placeholder, which must not look like a fact."""
    day = Match.model_validate(MATCH | {"kick_off_precision": "day"})
    timed = Match.model_validate(MATCH)
    assert "15:00" in match_list([timed], UTC, {})
    assert "15:00" in headline_card(timed, UTC)
    for html in (match_list([day], UTC, {}), headline_card(day, UTC)):
        assert "14 March 2026" in html
        assert "15:00" not in html
    assert "time unknown" in headline_card(day, UTC)
