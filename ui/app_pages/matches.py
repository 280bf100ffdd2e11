"""Matches: what is coming and what happened, each with its forecast."""

from __future__ import annotations

import streamlit as st

from ui import cards, times
from ui.answers import Match
from ui.session import api, empty

PAGE_SIZE = 50
STATUS = {"Upcoming": "scheduled", "Results": "played"}


def filters() -> dict[str, str | None]:
    """The reader's choice, kept in the address so that it can be shared."""
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        show = st.segmented_control(
            "Show", list(STATUS), default="Upcoming", required=True, key="show", bind="query-params"
        )
    with right:
        team = st.text_input("Club", key="team", bind="query-params", placeholder="All clubs")
    return {"status": STATUS[show or "Upcoming"], "team": team or None}


def load(chosen: dict[str, str | None]) -> tuple[list[Match], bool]:
    """The pages asked for so far under these filters, and whether there are more."""
    key = f"pages:{sorted(chosen.items(), key=str)}"
    matches: list[Match] = []
    cursor: str | None = None
    for _ in range(st.session_state.get(key, 1)):
        page = api().matches(**chosen, limit=PAGE_SIZE, cursor=cursor)
        matches += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    st.session_state["pages_key"] = key
    return matches, cursor is not None


def show_more() -> None:
    key = st.session_state["pages_key"]
    st.session_state[key] = st.session_state.get(key, 1) + 1


def page() -> None:
    st.title("Matches")
    chosen = filters()
    where = times.zone()
    matches, more = load(chosen)
    if not matches:
        empty(
            "No matches here yet.", "Once the pipeline has run (`make up` runs it), fixtures and results appear here."
        )
        return
    st.html(cards.LEGEND)
    st.html(cards.match_list(matches, where))
    if more:
        st.button("Show more", on_click=show_more, width="stretch")
    st.caption(f"Kick-off times in {times.zone_name(where)}; hover for UTC.")


if __name__ == "__main__":
    page()
