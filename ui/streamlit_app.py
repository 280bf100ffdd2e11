"""Entry point: page frame, navigation, and one place where failures of the API are shown."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui import formatting
from ui.notices import explain_api_errors
from ui.resources import api, settings

HERE = Path(__file__).parent
MODEL = "match-outcome"


def pages() -> dict[str, list[st.Page]]:
    """The pages in reading order, then the tools behind them."""
    chosen = settings()
    model = chosen.mlflow_url and f"{chosen.mlflow_url.rstrip('/')}/#/models/{MODEL}"  # not MLflow's welcome page
    tools = {"Dagster": chosen.dagster_url, "MLflow": model, "Grafana": chosen.grafana_url}
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
    """Where the platform stands, unless that is simply now."""
    found = api().matches(limit=1)
    if found.as_of is None or found.clock not in ("replay", "fixed"):
        return
    where = formatting.browser_timezone()
    moment = f"{formatting.moment(found.as_of, where)} {formatting.timezone_name(where)}"
    onward = " <code>touchline advance</code> moves it on." if found.clock == "replay" else ""
    st.html(
        f'<div class="tl-standing"><b>Replay</b> The platform stands at {moment}: later matches are fixtures.{onward}'
        "</div>"
    )


def main() -> None:
    page = st.navigation(pages(), position="top")
    icon = str(HERE / "assets" / "icon.svg")
    st.set_page_config(page_title=f"{page.title} · Touchline", page_icon=icon, layout="wide")
    st.logo(str(HERE / "assets" / "logo.svg"), size="large")
    st.html(HERE / "style.css")
    with explain_api_errors():
        clock_banner()
        page.run()


if __name__ == "__main__":
    main()
