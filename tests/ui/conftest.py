"""Fixtures of the viewer's tests: a fake API on a free port, and the app under Streamlit's AppTest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from features.io.sources import bundled
from monitoring.performance import performance_report
from tests.support.fake_api import FakeApi, FakeApiServer
from tests.support.fake_api_data import season, settled_forecasts
from tests.support.page_types import OpenPage, PageText

APP = Path(__file__).parents[2] / "ui" / "streamlit_app.py"


@pytest.fixture(scope="session")
def real_matches() -> list[dict[str, Any]]:
    return season()


@pytest.fixture(scope="session")
def real_report(real_matches: list[dict[str, Any]]) -> dict[str, Any]:
    return performance_report(settled_forecasts(real_matches), bundled.REPLAY_AS_OF)


@pytest.fixture
def api(
    real_matches: list[dict[str, Any]], real_report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeApi]:
    """A running fake API, whose address is set as `TOUCHLINE_API_URL`."""
    with FakeApiServer(FakeApi(real_matches, real_report)) as fake:
        monkeypatch.setenv("TOUCHLINE_API_URL", fake.url)
        yield fake


@pytest.fixture(scope="module")
def module_api(real_matches: list[dict[str, Any]], real_report: dict[str, Any]) -> Iterator[FakeApi]:
    """A running fake API for tests that share one viewer."""
    with FakeApiServer(FakeApi(real_matches, real_report)) as fake:
        yield fake


@pytest.fixture
def open_page() -> OpenPage:
    """Run the app on one page with the given query parameters, with empty caches."""

    def run(page: str = "", **query: str) -> AppTest:
        st.cache_data.clear()
        st.cache_resource.clear()
        app = AppTest.from_file(str(APP), default_timeout=60)
        if page:
            app.run()  # AppTest knows the pages by their files only after a run
            app.switch_page(f"app_pages/{page}.py")
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return run


@pytest.fixture
def text() -> PageText:
    """Return all text of a page, HTML included."""

    def text_of(app: AppTest) -> str:
        kinds = ("title", "header", "subheader", "caption", "markdown", "error", "warning", "info")
        parts = [str(element.value) for kind in kinds for element in app.get(kind)]
        return "\n".join([*parts, *(element.proto.body for element in app.get("html"))])

    return text_of
