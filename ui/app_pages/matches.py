"""Matches: what is coming and what happened, each with its forecast."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from ui import cards, filters, formatting
from ui.api_models import Match
from ui.notices import notice
from ui.resources import api

PAGE_SIZE = 50
STATUS = {"Upcoming": "scheduled", "Results": "played", "Postponed": "postponed"}


def choose_filters() -> dict[str, Any]:
    """The reader's choice, kept in the address so that it can be shared."""
    with st.container(horizontal=True):
        show = st.segmented_control(
            "Show", list(STATUS), default="Upcoming", required=True, key="show", bind="query-params"
        )
        competition = filters.competition(any_of_them=True, width=170)
        team = filters.club("All clubs", key="team", competition=competition, width=250)
        upcoming = show == "Upcoming"
        chosen = st.date_input(
            "From" if upcoming else "Up to",
            value=None,
            key="day",
            bind="query-params",
            format="YYYY-MM-DD",
            width=165,
        )
    return {
        "status": STATUS[show or "Upcoming"],
        "competition": competition,
        "team": team,
        "since": chosen if upcoming else None,
        "until": None if upcoming else chosen,
        "newest_first": show == "Results",
    }


def load(chosen: dict[str, Any], pages: int) -> tuple[list[Match], bool]:
    """The first pages under these filters, and whether there are more."""
    matches: list[Match] = []
    cursor: str | None = None
    for _ in range(pages):
        page = api().matches(**chosen, limit=PAGE_SIZE, cursor=cursor)
        matches += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return matches, cursor is not None


def summary(matches: list[Match]) -> str:
    """How the forecasts on the page did, in one line."""
    verdicts = [match.favourite_won for match in matches if match.favourite_won is not None]
    share = f"**{sum(verdicts)} of {len(verdicts)}** ({sum(verdicts) / len(verdicts):.0%})" if verdicts else ""
    return share and f"Favourite came in: {share}"


def legend(matches: list[Match]) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.html(cards.LEGEND, width="content")
        if line := summary(matches):
            hint = "Of the settled matches listed here. A good model is right about 53 % of the time."
            st.markdown(line, help=hint, width="content")
        with st.popover("How to read this", icon=":material/help:", type="tertiary"):
            st.markdown(cards.MEANING)


def empty_state(chosen: dict[str, Any]) -> None:
    narrowed = any(chosen[name] for name in ("competition", "team", "since", "until"))
    if narrowed or chosen["status"] == "postponed":
        notice("No match under these filters.", "Widen the dates, or choose another club or competition.")
    elif chosen["status"] == "scheduled" and api().matches(status="played", limit=1).items:
        notice(
            "No fixture ahead.", "The season is over, or its next fixtures are not in the data yet. See the results."
        )
    else:
        notice(
            "No matches here yet.",
            "Fixtures and results appear once the pipeline has run. `make up` runs it on start; in Dagster, "
            "materialise `matches` and what follows it.",
        )


def show_more(key: str) -> None:
    st.session_state[key] = st.session_state.get(key, 1) + 1


def page() -> None:
    st.title("Matches")
    chosen = choose_filters()
    key = f"pages:{chosen}"
    matches, more = load(chosen, st.session_state.get(key, 1))
    if not matches:
        empty_state(chosen)
        return
    where = formatting.browser_timezone()
    legend(matches)
    st.html(cards.match_list(matches, where, {one.competition: one.name for one in api().competitions().items}))
    if more:
        st.button("Show more", key="more", on_click=partial(show_more, key), width="stretch")
    pointer = "" if formatting.reads_as_utc(where, [one.kick_off for one in matches]) else "; point at one for UTC"
    st.caption(f"Kick-off times are in {formatting.timezone_name(where)}{pointer}. Choose a match for its details.")


if __name__ == "__main__":
    page()
