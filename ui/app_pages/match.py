"""One match: the published forecast, what happened, and a forecast made now."""

from __future__ import annotations

from uuid import uuid4

import streamlit as st

from ui import cards, times
from ui.answers import Forecast, Match
from ui.api_client import ApiError, NotFoundError
from ui.session import api, empty, settings

LABELS = {"pending": "In the queue …", "started": "A worker is computing …", "success": "Forecast made"}


def predict_now(home_team: str, away_team: str, competition: str) -> Forecast | None:
    """Queue a forecast, show where it stands until it is there; None when it failed, with the reason on the page."""
    with st.status("Sending …") as box:
        try:
            task = api().predict_later(home_team, away_team, competition, key=str(uuid4()))
            for status in api().follow(task.task_id, settings().predict_patience):
                box.update(label=LABELS.get(status.status, status.status))
        except ApiError as error:
            box.update(label="No forecast", state="error", expanded=True)
            st.write(str(error))
            return None
        if status.result is None:
            box.update(label="The task failed", state="error", expanded=True)
            st.write(status.error.detail if status.error else "The worker gave no reason.")
            return None
        box.update(label=LABELS["success"], state="complete")
    return status.result


def published(match: Match) -> None:
    st.subheader("Forecast")
    if match.forecast is None:
        empty(
            "No forecast was published for this match.",
            "Forecasts are published for the weeks ahead; you can still make one now.",
        )
        return
    happened = match.score.outcome if match.score else None
    st.html(cards.big_bar(match.forecast.probabilities, match.home_team, match.away_team, happened))


def now(match: Match) -> None:
    st.subheader("Predict now")
    st.caption("A fresh forecast from the live model and the clubs' latest ratings. The published one stays as it is.")
    key = f"now:{match.match_id}"
    if st.button("Predict now", type="primary", icon=":material/bolt:", key="predict_now"):
        st.session_state[key] = predict_now(match.home_team, match.away_team, match.competition)
    fresh: Forecast | None = st.session_state.get(key)
    if fresh:
        st.html(cards.big_bar(fresh.probabilities, match.home_team, match.away_team))
        st.caption(f"By {fresh.model.name}, version {fresh.model.version}.")


def page() -> None:
    match_id = st.query_params.get("match_id", "")
    st.page_link("app_pages/matches.py", label="All matches", icon=":material/arrow_back:")
    if not match_id:
        empty("No match chosen.", "Choose one from the list of matches.")
        return
    try:
        match = api().match(match_id)
    except NotFoundError as error:
        empty("There is no such match.", str(error))
        return
    where = times.zone()
    local = f"{times.day(match.kick_off, where)}, {times.clock(match.kick_off, where)} {times.zone_name(where)}"
    st.caption(f"{local} · {times.in_utc(match.kick_off)}")
    st.html(cards.hero(match, where))
    published(match)
    now(match)


if __name__ == "__main__":
    page()
