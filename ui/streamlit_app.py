"""Entry point: page frame, navigation, clock banner, and the handler that shows API errors on any page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui import formatting
from ui.notices import explain_api_errors
from ui.resources import api, settings

UI_DIR = Path(__file__).parent
REGISTERED_MODEL = "match-outcome"


def pages() -> dict[str, list[st.Page]]:
    """Return the pages in reading order, then the links to the other tools."""
    links = settings()
    # MLflow's own start page says nothing about the model
    mlflow = links.mlflow_url and f"{links.mlflow_url.rstrip('/')}/#/models/{REGISTERED_MODEL}"
    tools = {"Dagster": links.dagster_url, "MLflow": mlflow, "Grafana": links.grafana_url}
    return {
        "": [
            st.Page("app_pages/matches.py", title="Matches", icon=":material/sports_soccer:", default=True),
            st.Page("app_pages/match.py", title="Match", url_path="match", visibility="hidden"),
            st.Page("app_pages/what_if.py", title="What if", icon=":material/compare_arrows:", url_path="what-if"),
            st.Page("app_pages/table.py", title="Table", icon=":material/leaderboard:", url_path="table"),
            st.Page("app_pages/model.py", title="Model", icon=":material/monitoring:", url_path="model"),
            st.Page("app_pages/drift.py", title="Drift", icon=":material/waves:", url_path="drift"),
        ],
        "Tools": [st.Page(url, title=name, icon=":material/open_in_new:") for name, url in tools.items() if url],
    }


def clock_banner() -> None:
    """Say what the platform's clock is set to, unless it shows the real time."""
    page = api().matches(limit=1)
    if page.as_of is None or page.clock not in ("replay", "fixed"):
        return
    timezone = formatting.browser_timezone()
    time = f"{formatting.date_and_time(page.as_of, timezone)} {formatting.timezone_name(timezone)}"
    title = "Replay" if page.clock == "replay" else "Fixed clock"
    advance = " <code>touchline advance</code> moves it forward one week." if page.clock == "replay" else ""
    st.html(
        f'<div class="tl-clock-banner"><b>{title}</b> The clock is set to {time}. '
        f"Later matches appear as fixtures.{advance}</div>"
    )


def main() -> None:
    page = st.navigation(pages(), position="top")
    icon = str(UI_DIR / "assets" / "icon.svg")
    st.set_page_config(page_title=f"{page.title} · Touchline", page_icon=icon, layout="wide")
    st.logo(str(UI_DIR / "assets" / "logo.svg"), size="large")
    st.html(UI_DIR / "style.css")
    with explain_api_errors():
        clock_banner()
        page.run()


if __name__ == "__main__":
    main()
