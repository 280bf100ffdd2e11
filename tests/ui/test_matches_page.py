"""The list of matches, for every state of the platform behind it."""

from __future__ import annotations

from typing import Any


def test_upcoming_matches_are_listed_with_their_forecasts_first_kick_off_first(api, open_page, text) -> None:
    app = open_page()
    shown = text(app)
    assert not app.exception
    assert shown.index("Saturday 14 March 2026") < shown.index("Sunday 15 March 2026")
    assert "Wolverhampton Wanderers" in shown
    assert 'aria-label="home win' in shown


def test_results_show_the_score_and_whether_the_forecast_was_right(api, open_page, text) -> None:
    shown = text(open_page(show="Results"))
    assert "✓ right" in shown
    assert "✗ wrong" in shown
    assert "tl-happened" in shown


def test_one_club_can_be_followed_by_a_link(api, open_page, text) -> None:
    shown = text(open_page(team="Fulham"))
    assert shown.count('class="tl-match"') == shown.count("Fulham</span>") > 0


def test_a_reader_whose_clock_shows_utc_is_not_sent_to_look_for_it(api, open_page, text) -> None:
    assert "Kick-off times are in UTC. Choose" in text(open_page())


def test_more_matches_come_on_request(api, open_page, text) -> None:
    app = open_page(show="Results")
    before = text(app).count('class="tl-match"')
    next(b for b in app.button if b.label == "Show more").click().run()
    assert text(app).count('class="tl-match"') == 2 * before


def test_an_empty_pipeline_is_explained(api, open_page, text) -> None:
    api.mode = "empty"
    app = open_page()
    assert not app.exception
    assert "No matches here yet" in text(app)
    assert "make up" in text(app)


def test_a_season_that_is_over_is_not_taken_for_an_empty_pipeline(api, open_page, text) -> None:
    api.rows = [row for row in api.rows if row["status"] == "played"]
    assert "No fixture ahead" in text(open_page())


def test_an_api_with_keys_says_how_to_give_one(api, open_page, text) -> None:
    api.mode = "locked"
    assert "TOUCHLINE_API_KEY" in text(open_page())


def test_an_api_that_is_not_ready_says_what_is_missing(api, open_page, text) -> None:
    api.mode = "starting"
    app = open_page()
    assert not app.exception
    assert "Not ready yet" in text(app)
    assert "no production version yet" in text(app)


def test_an_api_that_is_down_names_its_address_and_recovers(open_page, text, monkeypatch: Any) -> None:
    monkeypatch.setenv("TOUCHLINE_API_URL", "http://127.0.0.1:1")
    app = open_page()
    assert not app.exception
    assert "The API is not reachable" in text(app)
    assert "http://127.0.0.1:1" in text(app)
    assert "TOUCHLINE_API_URL" in text(app)
