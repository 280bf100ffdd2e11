"""Drawing probabilities and results."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.api_models import Match, Probabilities, TableRow
from ui.cards import bar, match_list, match_row, percents
from ui.formatting import UTC
from ui.season_table import format_chance

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
def test_whole_percents_always_add_up_to_a_hundred(weights: tuple[float, float, float]) -> None:
    total = sum(weights)
    home, draw, away = (weight / total for weight in weights)
    whole = percents(Probabilities(home=home, draw=draw, away=away))
    assert sum(whole) == 100
    assert all(abs(w - 100 * p) < 1 for w, p in zip(whole, (home, draw, away), strict=True))


def test_the_bar_is_always_home_draw_away() -> None:
    drawn = bar(Probabilities(home=0.2, draw=0.3, away=0.5), happened="away")
    assert drawn.index("tl-home") < drawn.index("tl-draw") < drawn.index("tl-away tl-happened")
    assert "home win 20 %, draw 30 %, away win 50 %" in drawn


def test_names_cannot_inject_html() -> None:
    assert "&lt;b&gt;A &amp; Co" in match_row(Match.model_validate(MATCH), UTC)


@pytest.mark.parametrize(("p", "said"), [(0, "–"), (0.004, "<1 %"), (0.5, "50 %"), (0.999, ">99 %"), (1, "100 %")])
def test_a_chance_is_never_rounded_to_certainty(p: float, said: str) -> None:
    assert format_chance(p) == said


def test_answers_may_grow_fields() -> None:
    row = {"team": "A", "played": 1, "points": 3, "expected_points": 3.5, "positions": [1.0], "tie_break": "goals"}
    assert TableRow.model_validate(row | {"p_title": 1, "p_top_four": 1, "p_relegation": 0}).team == "A"


def test_matches_of_several_competitions_say_which_they_belong_to() -> None:
    one, other = (Match.model_validate(MATCH | {"competition": name}) for name in ("x", "y"))
    assert "tl-league" not in match_list([one, one], UTC, {"x": "The X"})
    listed = match_list([one, other, one], UTC, {"x": "The X"})
    assert [part.split("<")[0] for part in listed.split('"tl-league">')[1:]] == ["The X", "y"]
    assert listed.count('class="tl-match"') == 3
