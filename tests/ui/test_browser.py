"""The viewer in a real Chromium, as a reader uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.chromium, pytest.mark.slow]
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture
def browser(require: Any) -> Iterator[Any]:
    require(Path(CHROMIUM).exists(), f"no Chromium at {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = chromium.new_context(timezone_id="Europe/Madrid", viewport={"width": 1280, "height": 900})
        context.set_default_timeout(60_000)
        yield context
        chromium.close()


def test_a_reader_goes_from_the_list_to_a_match_and_predicts_it_now(viewer: str, api: Any, browser: Any) -> None:
    page = browser.new_page()
    page.goto(viewer)
    page.wait_for_selector("a.tl-match")
    assert page.inner_text("a.tl-match .tl-time") == "16:00", "kick-off is shown on the browser's clock"
    page.click("a.tl-match:has-text('Everton')")
    page.wait_for_selector("text=Arsenal win")
    assert page.url.endswith("/match?match_id=eng-premier-league-2025-26-arsenal-everton")
    page.click("button:has-text('Predict now')")
    page.wait_for_selector("text=Forecast made")
    page.wait_for_selector("text=version 3")
    assert api.polls == {"task-1": 3}
    page.go_back()
    page.wait_for_selector("a.tl-match")


def test_filters_live_in_the_address(viewer: str, browser: Any) -> None:
    page = browser.new_page()
    page.goto(f"{viewer}/?show=Results&team=Fulham")
    page.wait_for_selector("text=✓ right")
    assert page.locator("a.tl-match:not(:has-text('Fulham'))").count() == 0
    page.click("button:has-text('Upcoming')")
    page.wait_for_selector(".tl-score-none")
    assert "Results" not in page.url
