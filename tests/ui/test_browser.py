"""The viewer in a real Chromium, as a reader uses it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fake_api import FakeApi, wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.chromium
ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
MATCH = "/match?match_id=eng-premier-league-2025-26-arsenal-everton"
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def viewer(module_api: FakeApi) -> Iterator[str]:
    """Address of a real Streamlit server over the fake API, started as the docstring of `ui` says."""
    port = free_port()
    env = os.environ | {"TOUCHLINE_API_URL": module_api.url, "TOUCHLINE_GRAFANA_URL": "http://127.0.0.1:3001"}
    options = ["--server.port", str(port), "--server.address", "127.0.0.1"]
    command = [sys.executable, "-m", "ui", *options]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def healthy() -> bool:
        try:
            return httpx.get(f"{url}/_stcore/health").is_success
        except httpx.HTTPError:
            return False

    try:
        wait_until(healthy, "the viewer")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_browser(require: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Open a path of the viewer in a fresh browser whose time zone is Madrid."""
    require(Path(CHROMIUM).exists(), f"no Chromium at {CHROMIUM}")
    viewer, chromium = request.getfixturevalue("viewer"), request.getfixturevalue("chromium")
    contexts: list[Any] = []

    def visit(path: str = "/", width: int = 1280, ready: str = ".block-container h1") -> Any:
        context = chromium.new_context(timezone_id="Europe/Madrid", viewport={"width": width, "height": 900})
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{viewer}{path}")
        page.wait_for_selector(ready)
        return page

    yield visit
    for context in contexts:
        context.close()


def test_reader_opens_a_match_and_predicts_it_now(open_browser: Any, module_api: FakeApi) -> None:
    page = open_browser(ready="a.tl-match")
    assert page.inner_text("a.tl-match .tl-time") == "16:00", "kick-off is in the browser's time zone"
    page.click("a.tl-match:has-text('Everton')")
    page.wait_for_selector("text=Arsenal win")
    page.wait_for_function("document.title == 'Arsenal v Everton · Touchline'")
    assert page.url.endswith("/match?match_id=eng-premier-league-2025-26-arsenal-everton")
    page.click("button:has-text('Predict now')")
    page.wait_for_selector("text=Forecast ready")
    assert module_api.polls == {"task-1": 3}
    page.go_back()
    page.wait_for_selector("a.tl-match")


def test_address_keeps_the_filters(open_browser: Any) -> None:
    page = open_browser("/?show=Results&team=Fulham", ready="text=✓ right")
    assert page.locator("a.tl-match:not(:has-text('Fulham'))").count() == 0
    page.click("button:has-text('Upcoming')")
    page.wait_for_selector(".tl-score-none")
    assert "Results" not in page.url


def test_every_page_opens_from_the_menu_and_by_address(open_browser: Any) -> None:
    page = open_browser()
    for name, path in (("What if", "what-if"), ("Table", "table"), ("Model", "model"), ("Drift", "drift")):
        page.click(f"[data-testid='stTopNavLink']:has-text('{name}')")
        page.wait_for_selector(f"h1:has-text('{name}')")
        page.wait_for_function("name => document.title == `${name} · Touchline`", arg=name)
        assert page.url.split("?")[0].endswith(f"/{path}")
        page.reload()
        page.wait_for_selector(f"h1:has-text('{name}')")
    page.click("text=Tools")
    assert page.locator("a[href='http://127.0.0.1:3001']").count() == 1
    assert page.locator("a[href$=':5000/#/models/match-outcome']").count() == 1


@pytest.mark.parametrize(
    ("path", "ready"),
    [
        ("/?show=Results", "a.tl-match"),
        ("/", "a.tl-match"),
        ("/model", "text=diagonal"),
        (MATCH, ".tl-insight"),
        ("/table", ".tl-season-table"),
        ("/drift", ".tl-figures"),
    ],
)
def test_phone_needs_no_sideways_scrolling(open_browser: Any, path: str, ready: str) -> None:
    page = open_browser(path, width=390, ready=ready)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    cells = page.locator(".tl-rows td:visible, .tl-rows th:visible, .tl-labels span")
    edges = cells.evaluate_all("cells => cells.map(cell => cell.getBoundingClientRect().right)")
    assert max(edges, default=0) <= 390


LEVELS = "headings => headings.map(heading => Number(heading.ariaLevel ?? heading.tagName[1]))"


@pytest.mark.parametrize(
    ("path", "ready"),
    [
        ("/", "a.tl-match"),
        ("/model", "text=diagonal"),
        (MATCH, "text=Earlier meetings"),
        ("/table", ".tl-season-table"),
        ("/drift", ".tl-figures"),
        ("/what-if", "text=Choose two clubs"),
    ],
)
def test_headings_leave_out_no_level(open_browser: Any, path: str, ready: str) -> None:
    """A screen reader lists them as the contents of the page: one of level 1 first, then each at most one deeper."""
    page = open_browser(path, ready=ready)
    headings = page.locator("[data-testid=stMain]").locator("h1, h2, h3, h4, h5, h6, [role=heading]")
    levels = headings.evaluate_all(LEVELS)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels)), levels


def test_phone_filters_are_as_wide_as_the_page(open_browser: Any) -> None:
    page = open_browser("/", width=390, ready="[data-testid=stDateInput]")
    filters = page.locator("[data-testid=stSelectbox], [data-testid=stDateInput]")
    boxes = filters.evaluate_all("all => all.map(filter => filter.getBoundingClientRect().toJSON())")
    assert [(box["left"], box["right"]) for box in boxes] == [(16, 374)] * 3


def test_drift_report_is_shown_in_full_length(open_browser: Any) -> None:
    """Its scripts run, but not in the viewer's page."""
    page = open_browser("/drift?report=true", ready="iframe")
    report = page.frame_locator("iframe").frame_locator("iframe").locator("body")
    report.locator("h1").wait_for()
    page.wait_for_function("document.querySelector('iframe').clientHeight > 3000")
    assert report.get_attribute("data-reached") == "no"
    assert report.evaluate("origin") == "null"
    assert page.title() != "taken"


def test_final_score_is_aligned_with_the_other_scores(open_browser: Any, module_api: FakeApi) -> None:
    drawn = next(row for row in module_api.rows if row["score"] == {"home": 1, "away": 1} and row["forecast"])
    page = open_browser(f"/match?match_id={drawn['match_id']}", ready=".tl-final")
    starts = page.locator(".tl-line i").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().left)")
    assert len(starts) == 5 and len(set(starts)) == 1


def test_phone_shows_both_clubs_in_one_line(open_browser: Any) -> None:
    page = open_browser("/", width=390, ready="a.tl-match")
    clubs = page.locator("a.tl-match >> nth=0 >> .tl-club")
    home, away = clubs.evaluate_all("clubs => clubs.map(club => club.getBoundingClientRect().toJSON())")
    assert abs(home["y"] + home["height"] / 2 - away["y"] - away["height"] / 2) < 2
    assert home["x"] < away["x"] and away["width"] > 120


def test_try_again_recovers_a_failed_page(open_browser: Any, module_api: FakeApi) -> None:
    module_api.mode = "starting"
    try:
        page = open_browser(ready="text=Not ready yet")
    finally:
        module_api.mode = "ok"
    page.click("button:has-text('Try again')")
    page.wait_for_selector("a.tl-match")
