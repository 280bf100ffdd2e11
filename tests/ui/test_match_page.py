"""The page of one match, and a forecast made on request."""

from __future__ import annotations

from ui import insights
from ui.api_models import Insight, Match

MATCH = "eng-premier-league-2025-26-arsenal-everton"


def test_a_fixture_shows_its_published_forecast(api, open_page, text) -> None:
    app = open_page("match", match_id=MATCH)
    assert not app.exception
    assert "Arsenal win" in text(app)
    assert "Saturday 14 March 2026 · 17:30 UTC · matchday" in text(app), "the reader's clock is UTC: said once"


def test_what_stands_behind_the_forecast_is_shown(api, open_page, text) -> None:
    shown = text(open_page("match", match_id=MATCH))
    assert '<b class="tl-ink-home">1.7</b><span>Arsenal</span>' in shown
    assert shown.count('class="tl-line') == 5
    assert shown.count('class="tl-pull" title=') == 4, "playing at home and three ratings"
    assert "as likely to win as" in shown
    assert "Little is known" not in shown


def test_a_club_without_history_is_named(api, open_page, text) -> None:
    api.away_matches = 0
    shown = text(open_page("match", match_id=MATCH))
    assert "the data had 440 matches of Arsenal and no match of Everton. It takes Everton for" in shown


def test_the_score_that_came_is_marked_among_the_likeliest(api, open_page, text) -> None:
    drawn = next(row for row in api.rows if row["score"] == {"home": 1, "away": 1} and row["forecast"])
    shown = text(open_page("match", match_id=drawn["match_id"]))
    assert shown.count('class="tl-line tl-came"') == 1


def test_form_ratings_and_meetings_of_both_clubs_are_shown(api, open_page, text) -> None:
    app = open_page("match", match_id=MATCH)
    shown = text(app)
    assert shown.count('class="tl-chip tl-chip-') == 12
    assert "3 in the data" in shown
    assert "Before this match: Arsenal **1603**" in shown
    assert len(app.get("vega_lite_chart")) == 1


def test_a_match_without_a_forecast_says_whether_one_can_still_come(api, open_page, text) -> None:
    ahead, played = (next(row for row in api.rows if row["status"] == status) for status in ("scheduled", "played"))
    ahead["forecast"], before = None, ahead["forecast"]
    try:
        shown = text(open_page("match", match_id=ahead["match_id"]))
    finally:
        ahead["forecast"] = before
    assert "No forecast is published yet" in shown
    assert "The published forecast stays" not in shown
    assert played["forecast"] is None
    assert "No forecast was published for this match" in text(open_page("match", match_id=played["match_id"]))


def test_clubs_that_are_about_as_likely_to_win_are_said_to_be(api, open_page) -> None:
    match = Match.model_validate(next(row for row in api.rows if row["match_id"] == MATCH))
    told = Insight.model_validate(api.insight(MATCH))
    assert told.explanation is not None
    for log_odds, said in ((0.04, "Arsenal are <b>about</b> as likely to win as Everton"), (-0.06, "<b>1.1 times</b>")):
        even = told.explanation.model_copy(update={"log_odds": log_odds})
        assert said in insights.block(told.model_copy(update={"explanation": even}), match)


def test_a_result_says_whether_the_forecast_was_right_and_how_good_it_was(api, open_page, text) -> None:
    shown = text(open_page("match", match_id="eng-premier-league-2025-26-tottenham-hotspur-crystal-palace"))
    assert "It came otherwise" in shown
    assert "RPS 0.151" in shown


def test_predict_now_queues_a_task_and_shows_its_result(api, open_page, text) -> None:
    app = open_page("match", match_id=MATCH)
    app.button(key="predict_now").click().run()
    assert not app.exception
    assert api.asked == [{"home_team": "Arsenal", "away_team": "Everton", "competition": "eng-premier-league"}]
    assert api.polls == {"task-1": 3}
    assert text(app).count("Arsenal win") == 2
    assert "version 3" in text(app)


def test_a_failed_task_gives_its_reason(api, open_page, text) -> None:
    reason = {"title": "Unavailable", "status": 503, "detail": "the registry has no model in production"}
    api.task_result = lambda body: {"status": "failure", "error": reason}
    app = open_page("match", match_id=MATCH)
    app.button(key="predict_now").click().run()
    assert not app.exception
    assert "no model in production" in text(app)


def test_a_worker_that_never_answers_ends_in_an_explanation(api, open_page, text, monkeypatch) -> None:
    monkeypatch.setenv("TOUCHLINE_PREDICT_TIMEOUT", "0.5")
    api.task_result = lambda body: {"status": "pending"}
    app = open_page("match", match_id=MATCH)
    app.button(key="predict_now").click().run()
    assert not app.exception
    assert "no worker is taking work" in text(app)


def test_an_unknown_match_is_answered_with_the_nearest(api, open_page, text) -> None:
    app = open_page("match", match_id="eng-premier-league-2025-26-arsenal-nobody")
    assert not app.exception
    assert "There is no such match" in text(app)
    assert "nearest" in text(app)


def test_without_a_match_the_reader_is_sent_to_the_list(api, open_page, text) -> None:
    assert "No match chosen" in text(open_page("match"))
