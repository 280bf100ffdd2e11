"""What-if, table, model and drift, with a platform that runs, one that has nothing yet, and one that is not ready."""

from __future__ import annotations

import json

import pytest

PAGES = ("what_if", "table", "model", "drift")


def test_any_two_clubs_can_be_tried(api, open_page, text) -> None:
    app = open_page("what_if", home="Arsenal", away="Chelsea")
    assert "(400 matches known)" in text(app)
    app.button(key="predict").click().run()
    assert not app.exception
    assert "Arsenal win" in text(app)
    assert api.asked[0]["away_team"] == "Chelsea"


def test_clubs_can_swap_grounds(api, open_page) -> None:
    app = open_page("what_if", home="Arsenal", away="Chelsea")
    app.button(key="swap").click().run()
    assert not app.exception
    assert (app.selectbox(key="home").value, app.selectbox(key="away").value) == ("Chelsea", "Arsenal")


def test_a_club_does_not_play_itself(api, open_page, text) -> None:
    app = open_page("what_if", home="Arsenal", away="Arsenal")
    assert "does not play itself" in text(app)
    assert not [button for button in app.button if button.key == "predict"]


def test_the_table_lists_every_club_by_expected_points(api, open_page, text) -> None:
    app = open_page("table")
    assert not app.exception
    shown = text(app)
    assert shown.count('class="tl-team"') == 20
    assert 'title="places 18 to 20 of 20">Relegation</th>' in shown
    assert shown.count("tl-meter tl-meter-play_off") == 20, "each competition's own places are columns"
    assert "Thin lines mark off Champions League, Relegation play-off, Relegation." in shown
    assert shown.index("AFC Bournemouth") < shown.index("Wolverhampton Wanderers")


def test_the_table_says_what_is_not_known_of_a_competition(api, open_page, text) -> None:
    api.season = {"complete": False, "places_known": False}
    shown = text(open_page("table"))
    assert "Not the whole season" in shown
    assert "Who goes up, down or to Europe from this competition is not known" in shown
    api.season = {"complete": True, "places_known": True}
    assert "not known" not in text(open_page("table"))


def test_the_model_page_compares_with_the_references_and_shows_calibration(api, open_page, text) -> None:
    app = open_page("model")
    assert not app.exception
    shown = text(app)
    assert "than base rate" in shown
    assert "Do its percentages mean what they say?" in shown
    assert len(app.get("vega_lite_chart")) == 5
    assert app.metric[0].value == "version 3"


def test_the_drift_page_says_what_to_do_and_shows_the_report_on_request(api, open_page, text) -> None:
    app = open_page("drift")
    assert not app.exception
    assert "review_drift" in text(app)
    axis = json.loads(app.get("vega_lite_chart")[0].proto.spec)["encoding"]["x"]["axis"]
    assert [one[:10] for one in axis["values"]] == ["2025-08-18", "2026-03-02", "2026-03-09"], "weeks, no days between"
    assert "**Pi: home form at home" in text(app)
    assert "1 of 8" in [metric.value for metric in app.metric]
    assert not app.get("iframe")
    app.toggle(key="report").set_value(True).run()
    assert not app.exception
    assert "Drift report of 2026-03-09" in app.get("iframe")[0].proto.srcdoc


def test_figures_have_names_that_a_reader_understands_and_each_has_a_verdict(api, open_page, text) -> None:
    api.drift_weeks[0]["columns"][0] |= {"p_value": None, "mean_window": None}
    shown = text(open_page("drift"))
    assert ">log_home_goals<" not in shown
    assert 'title="log_home_goals">Goals expected of the home side (log)<' in shown
    assert (shown.count("<td>no drift</td>"), shown.count("<td>drifted</td>"), shown.count("<td>missing</td>")) == (
        6,
        1,
        1,
    )


def test_versions_are_told_of_where_there_are_several(api, open_page, text) -> None:
    span = "291 settled matches, 15 Aug 2025 to 5 Mar 2026"
    assert f"{span}." in text(open_page("model", of="all"))
    whole = next(one for one in api.report["groups"] if (one["competition"], one["window"]) == ("all", "season"))
    api.report["groups"] += [whole | {"model_version": one, "matches": n} for one, n in (("3", 200), ("4", 91))]
    assert f"{span}: 200 by version 3, 91 by version 4." in text(open_page("model", of="all"))


@pytest.mark.parametrize("page", PAGES)
def test_a_replay_says_where_it_stands_on_every_page(page: str, api, open_page, text) -> None:
    told = "The platform stands at 13 Mar 2026, 12:00"
    shown = text(open_page(page))
    assert told in shown
    assert "touchline advance" in shown
    api.standing["clock"] = "fixed"
    shown = text(open_page(page))
    assert told in shown
    assert "touchline advance</code> moves" not in shown
    api.standing["clock"] = "now"
    assert told not in text(open_page(page))


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_pipeline_is_explained_on_every_page(page: str, api, open_page, text) -> None:
    api.mode = "empty"
    app = open_page(page)
    assert not app.exception
    assert " yet." in text(app)


@pytest.mark.parametrize("page", PAGES)
def test_an_api_that_is_not_ready_is_explained_on_every_page(page: str, api, open_page, text) -> None:
    api.mode = "starting"
    app = open_page(page)
    assert not app.exception
    assert "no production version yet" in text(app)


@pytest.mark.parametrize("page", PAGES)
def test_an_api_that_is_down_is_explained_on_every_page(page: str, open_page, text, monkeypatch) -> None:
    monkeypatch.setenv("TOUCHLINE_API_URL", "http://127.0.0.1:1")
    app = open_page(page)
    assert not app.exception
    assert "The API is not reachable" in text(app)
