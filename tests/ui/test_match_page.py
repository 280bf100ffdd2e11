"""The page of one match, and a forecast on request."""

from __future__ import annotations

import pytest

from tests.support.fake_api import FakeApi
from tests.support.page_types import OpenPage, PageText
from ui import insights
from ui.api_models import Insight, Match

MATCH = "eng-premier-league-2025-26-arsenal-everton"


def test_fixture_shows_its_published_forecast(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page("match", match_id=MATCH)
    assert not app.exception
    assert "Arsenal win" in text(app)
    assert "Saturday 14 March 2026 · 17:30 UTC · matchday" in text(app), "a reader in UTC sees UTC only once"


def test_insight_panel_has_all_sections(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    page_text = text(open_page("match", match_id=MATCH))
    assert '<b class="tl-ink-home">1.7</b><span>Arsenal</span>' in page_text
    assert page_text.count('class="tl-line') == 5
    assert page_text.count('class="tl-contribution" title=') == 4, "home advantage and three ratings"
    assert "as likely to win as" in page_text
    assert "Little data" not in page_text


def test_club_without_history_gives_a_warning(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    api.away_matches = 0
    page_text = text(open_page("match", match_id=MATCH))
    warning = "the data had 440 matches of Arsenal and no matches of Everton. The forecast treats Everton like"
    assert warning in page_text


def test_final_score_is_marked_among_the_likely_ones(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    drawn = next(row for row in api.rows if row["score"] == {"home": 1, "away": 1} and row["forecast"])
    page_text = text(open_page("match", match_id=drawn["match_id"]))
    assert page_text.count('class="tl-line tl-final"') == 1


def test_form_ratings_and_meetings_are_shown(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page("match", match_id=MATCH)
    page_text = text(app)
    assert page_text.count('class="tl-chip tl-chip-') == 12
    assert "3 in the data" in page_text
    assert "Elo before this match: Arsenal **1603**" in page_text
    assert len(app.get("vega_lite_chart")) == 1


def test_missing_forecast_is_explained(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    """A fixture may still get a forecast, a played match never will."""
    fixture, played = (next(row for row in api.rows if row["status"] == status) for status in ("scheduled", "played"))
    forecast, fixture["forecast"] = fixture["forecast"], None
    try:
        page_text = text(open_page("match", match_id=fixture["match_id"]))
    finally:
        fixture["forecast"] = forecast
    assert "No forecast published yet" in page_text
    assert "The published forecast does not change" not in page_text
    assert played["forecast"] is None
    assert "No forecast was published for this match" in text(open_page("match", match_id=played["match_id"]))


@pytest.mark.parametrize(
    ("log_odds", "sentence"),
    [(0.04, "Arsenal are <b>about</b> as likely to win as Everton"), (-0.06, "Everton are <b>1.1 times</b>")],
)
def test_even_clubs_are_about_as_likely_to_win(api: FakeApi, log_odds: float, sentence: str) -> None:
    match = Match.model_validate(next(row for row in api.rows if row["match_id"] == MATCH))
    insight = Insight.model_validate(api.insight(MATCH))
    assert insight.explanation is not None
    explanation = insight.explanation.model_copy(update={"log_odds": log_odds})
    assert sentence in insights.insight_panel(insight.model_copy(update={"explanation": explanation}), match)


def test_result_shows_whether_the_forecast_was_right(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    page_text = text(open_page("match", match_id="eng-premier-league-2025-26-tottenham-hotspur-crystal-palace"))
    assert "**✗ Wrong.** The forecast gave the actual result" in page_text
    assert "RPS 0.151" in page_text


def test_predict_now_shows_the_result_of_its_task(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page("match", match_id=MATCH)
    app.button(key="predict_now").click().run()
    assert not app.exception
    expected = {"home_team": "Arsenal", "away_team": "Everton", "competition": "eng-premier-league"}
    assert api.predict_requests == [expected]
    assert api.polls == {"task-1": 3}
    assert text(app).count("Arsenal win") == 2
    assert "version 3" in text(app)


def test_failed_task_gives_its_reason(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    problem = {"title": "Unavailable", "status": 503, "detail": "the registry has no model in production"}
    api.task_result = lambda body: {"status": "failure", "error": problem}
    app = open_page("match", match_id=MATCH)
    app.button(key="predict_now").click().run()
    assert not app.exception
    assert "no model in production" in text(app)


def test_task_without_a_worker_is_explained(
    api: FakeApi, open_page: OpenPage, text: PageText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_PREDICT_TIMEOUT_SECONDS", "0.5")
    api.task_result = lambda body: {"status": "pending"}
    app = open_page("match", match_id=MATCH)
    app.button(key="predict_now").click().run()
    assert not app.exception
    assert "check that a worker is running" in text(app)


def test_unknown_match_gives_suggestions(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page("match", match_id="eng-premier-league-2025-26-arsenal-nobody")
    assert not app.exception
    assert "Match not found" in text(app)
    assert "nearest" in text(app)


def test_missing_match_id_leads_to_the_list(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    assert "No match selected" in text(open_page("match"))
