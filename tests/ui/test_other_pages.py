"""What-if, table, model and drift, for every state of the platform behind them."""

from __future__ import annotations

import json

import pytest

from tests.support.fake_api import FakeApi
from tests.support.page_types import OpenPage, PageText

PAGES = ("what_if", "table", "model", "drift")


def test_any_two_clubs_can_be_forecast(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page("what_if", home="Arsenal", away="Chelsea")
    assert "(from 400 matches)" in text(app)
    app.button(key="predict").click().run()
    assert not app.exception
    assert "Arsenal win" in text(app)
    assert api.predict_requests[0]["away_team"] == "Chelsea"


def test_swap_exchanges_the_clubs(api: FakeApi, open_page: OpenPage) -> None:
    app = open_page("what_if", home="Arsenal", away="Chelsea")
    app.button(key="swap").click().run()
    assert not app.exception
    assert (app.selectbox(key="home").value, app.selectbox(key="away").value) == ("Chelsea", "Arsenal")


def test_same_club_twice_is_rejected(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page("what_if", home="Arsenal", away="Arsenal")
    assert "Choose two different clubs" in text(app)
    assert not [button for button in app.button if button.key == "predict"]


def test_table_lists_every_club_by_expected_points(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page("table")
    assert not app.exception
    page_text = text(app)
    assert page_text.count('class="tl-team"') == 20
    assert 'title="places 18 to 20 of 20">Relegation</th>' in page_text
    assert page_text.count("tl-meter tl-meter-play_off") == 20, "each competition has its own zones as columns"
    assert "Thin lines separate the zones: Champions League, Relegation play-off, Relegation." in page_text
    assert page_text.index("AFC Bournemouth") < page_text.index("Wolverhampton Wanderers")


def test_table_says_what_is_unknown(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    api.table_flags = {"complete": False, "places_known": False}
    page_text = text(open_page("table"))
    assert "This is not the whole season" in page_text
    assert "What the places of this competition bring, such as promotion or relegation, is unknown" in page_text
    api.table_flags = {"complete": True, "places_known": True}
    assert "unknown" not in text(open_page("table"))


def test_table_shows_the_caveats_of_the_api(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    """What the table leaves out is said in the sentences of the API, and not twice."""
    api.table_flags |= {"complete": False, "caveats": ["Points off the pitch that are included: Derby County -21."]}
    page_text = text(open_page("table"))
    assert "Points off the pitch that are included: Derby County -21." in page_text
    assert "This is not the whole season" not in page_text


def test_model_page_shows_baselines_and_calibration(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page("model")
    assert not app.exception
    page_text = text(app)
    assert "than the base rate" in page_text
    assert "Calibration: does 60% mean 60%?" in page_text
    assert ">Accuracy</th>" in page_text
    assert len(app.get("vega_lite_chart")) == 5
    assert app.metric[0].value == "version 3"


def test_model_page_says_that_the_version_is_provisional(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    assert "provisional" not in text(open_page("model"))
    api.provisional = {"reason": "judged by 90 matches", "matches": 90, "missing": 10}
    page_text = text(open_page("model"))
    assert "**Version 3 is provisional.**" in page_text
    assert "judged by 90 matches: 10 more are needed" in page_text
    api.provisional = {"reason": "not better than the base rate", "matches": 120, "missing": 0}
    assert "judged by 120 matches, which did not confirm it: not better" in text(open_page("model"))


def test_model_page_says_what_the_candidate_still_needs(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page("model")
    page_text = text(app)
    assert "Candidate: version 4" in [header.value for header in app.header]
    assert "as long as 2 of 4 conditions are not met" in page_text
    assert "610 matches would be enough if later ones are like these, expected by 2 November 2026" in page_text
    assert "**By closing odds:** 270 matches, difference −0.0003, between −0.0015 and +0.0012" in page_text
    api.gate["comparison"] |= {"market_rejection": "the odds are not calibrated on these matches"}
    api.gate["comparison"]["results"] |= {"needed": None, "expected_on": None}
    page_text = text(open_page("model"))
    assert "They do not count: the odds are not calibrated on these matches." in page_text
    assert "no number of matches would be enough" in page_text
    for staged in (None, api.gate["production"]):
        api.gate |= {"candidate": staged, "comparison": None}
        assert not any("Candidate" in header.value for header in open_page("model").header)


def test_drift_page_says_whether_results_surprise_the_model(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    """The forecasts of the tests are so bad that the real results surprise them."""
    page_text = text(open_page("drift"))
    assert "**Results surprise the model this season** (RPS 0.2555 on 291 matches, 0.2131 expected)" in page_text
    season = next(
        group for group in api.report["groups"] if (group["competition"], group["window"]) == ("all", "season")
    )
    season["surprise"] |= {"mean": 0.001, "low": -0.02}
    assert "no more surprising than the forecasts promised (RPS 0.2555 on 291 matches" in text(open_page("drift"))
    del season["surprise"]
    assert "surpris" not in text(open_page("drift"))


def test_drift_page_advises_and_shows_the_report(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    app = open_page("drift")
    assert not app.exception
    assert "review_drift" in text(app)
    axis = json.loads(app.get("vega_lite_chart")[0].proto.spec)["encoding"]["x"]["axis"]
    assert [week[:10] for week in axis["values"]] == ["2025-08-18", "2026-03-02", "2026-03-09"], (
        "the axis has one tick per week"
    )
    assert "**Drifted: Pi difference, home form v away form.**" in text(app)
    assert "1 of 8" in [metric.value for metric in app.metric]
    assert not app.get("iframe")
    app.toggle(key="report").set_value(True).run()
    assert not app.exception
    assert "Drift report of 2026-03-09" in app.get("iframe")[0].proto.srcdoc


def test_drift_columns_have_labels_and_verdicts(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    api.drift_weeks[0]["columns"][0] |= {"p_value": None, "mean_window": None}
    page_text = text(open_page("drift"))
    assert ">log_home_goals<" not in page_text
    assert 'title="log_home_goals">Expected goals, home (log)<' in page_text
    verdicts = [page_text.count(f"<td>{verdict}</td>") for verdict in ("no drift", "drift", "no data")]
    assert verdicts == [6, 1, 1]


def test_model_versions_are_counted_if_there_are_several(api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    caption = "291 settled matches, 15 Aug 2025 to 5 Mar 2026"
    assert f"{caption}." in text(open_page("model", of="all"))
    groups = api.report["groups"]
    season = next(group for group in groups if (group["competition"], group["window"]) == ("all", "season"))
    groups += [season | {"model_version": version, "matches": n} for version, n in (("3", 200), ("4", 91))]
    assert f"{caption}: 200 by version 3, 91 by version 4." in text(open_page("model", of="all"))


@pytest.mark.parametrize("page", PAGES)
def test_clock_banner_is_on_every_page(page: str, api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    """There is no banner if the clock shows the real time, and only that of a replay explains how to advance it."""
    sentence = "The clock is set to 13 Mar 2026, 12:00 UTC"
    page_text = text(open_page(page))
    assert sentence in page_text
    assert "touchline advance" in page_text
    api.clock["clock"] = "fixed"
    page_text = text(open_page(page))
    assert sentence in page_text
    assert "touchline advance</code> moves" not in page_text
    api.clock["clock"] = "now"
    assert sentence not in text(open_page(page))


@pytest.mark.parametrize("page", PAGES)
def test_empty_pipeline_is_explained_on_every_page(
    page: str, api: FakeApi, open_page: OpenPage, text: PageText
) -> None:
    api.mode = "empty"
    app = open_page(page)
    assert not app.exception
    assert " yet." in text(app)


@pytest.mark.parametrize("page", PAGES)
def test_api_not_ready_is_explained_on_every_page(page: str, api: FakeApi, open_page: OpenPage, text: PageText) -> None:
    api.mode = "starting"
    app = open_page(page)
    assert not app.exception
    assert "no production version yet" in text(app)


@pytest.mark.parametrize("page", PAGES)
def test_unreachable_api_is_explained_on_every_page(
    page: str, open_page: OpenPage, text: PageText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_API_URL", "http://127.0.0.1:1")
    app = open_page(page)
    assert not app.exception
    assert "The API is not reachable" in text(app)
