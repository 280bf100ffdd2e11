"""The list of matches, for every state of the platform behind it."""

from __future__ import annotations

import pytest

from tests.support.fake_api import FakeApi
from tests.support.page_types import OpenPage, PageText


def test_fixtures_are_listed_by_kick_off_with_forecasts(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page()
    page_text = text(app)
    assert not app.exception
    assert page_text.index("Saturday 14 March 2026") < page_text.index("Sunday 15 March 2026")
    assert "Wolverhampton Wanderers" in page_text
    assert 'aria-label="home win' in page_text


def test_results_show_scores_and_verdicts(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    page_text = text(open_page(show="Results"))
    assert "✓ right" in page_text
    assert "✗ wrong" in page_text
    assert "tl-actual" in page_text
    assert "Favourite won **" in page_text


def test_link_can_select_a_club(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    page_text = text(open_page(team="Fulham"))
    assert page_text.count('class="tl-match"') == page_text.count("Fulham</span>") > 0


def test_reader_in_utc_gets_no_hint_for_utc(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    assert "Kick-off times are in UTC. Open" in text(open_page())


def test_show_more_adds_a_page(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page(show="Results")
    before = text(app).count('class="tl-match"')
    next(button for button in app.button if button.label == "Show more").click().run()
    assert text(app).count('class="tl-match"') == 2 * before


def test_empty_pipeline_is_explained(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    api.mode = "empty"
    app = open_page()
    assert not app.exception
    assert "No matches yet" in text(app)
    assert "make up" in text(app)


def test_end_of_season_is_no_empty_pipeline(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    api.rows = [row for row in api.rows if row["status"] == "played"]
    assert "No upcoming matches" in text(open_page())


def test_list_without_postponed_matches_says_so(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    api.rows = [row for row in api.rows if row["status"] != "postponed"]
    assert "No postponed matches" in text(open_page(show="Postponed"))
    assert "No matches for these filters" in text(open_page(show="Postponed", team="Fulham"))


def test_missing_key_says_how_to_give_one(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    api.mode = "locked"
    assert "TOUCHLINE_API_KEY" in text(open_page())


def test_api_that_is_not_ready_says_what_is_missing(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    api.mode = "starting"
    app = open_page()
    assert not app.exception
    assert "Not ready yet" in text(app)
    assert "no production version yet" in text(app)


def test_unreachable_api_names_its_address(
    open_page: OpenPage, text: PageText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_API_URL", "http://127.0.0.1:1")
    app = open_page()
    assert not app.exception
    assert "The API is not reachable" in text(app)
    assert "http://127.0.0.1:1" in text(app)
    assert "TOUCHLINE_API_URL" in text(app)


@pytest.mark.parametrize(
    ("page", "name", "value"),
    [
        ("matches", "team", "Atlantis"),
        ("matches", "competition", "atl-premier"),
        ("matches", "show", "Everything"),
        ("matches", "season", "1999-00"),
        ("table", "league", "atl-premier"),
        ("model", "window", "Yesterday"),
    ],
)
def test_unknown_choices_of_an_address_are_reported(
    api: FakeApi, open_page: OpenPage, text: PageText, page: str, name: str, value: str
) -> None:
    """The page shows its default instead, and says so."""
    app = open_page(page, **{name: value})
    assert not app.exception
    (warning,) = app.warning
    assert f"ignored: `{name}={value}`" in warning.value.replace("\\", "")


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("matches", {"team": "Arsenal", "show": "Results"}),
        ("matches", {"competition": "eng-premier-league", "day": "2026-03-01"}),
        ("table", {"league": "eng-premier-league"}),
        ("model", {"window": "All matches", "of": "all"}),
    ],
)
def test_known_choices_of_an_address_bring_no_warning(
    api: FakeApi, open_page: OpenPage, page: str, query: dict[str, str]
) -> None:
    assert not open_page(page, **query).warning
