"""Matches: fixtures and results, each with its forecast."""

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


def select_filters() -> dict[str, Any]:
    """Return the reader's choice as arguments of `ApiClient.matches`; the page address keeps it for sharing."""
    with st.container(horizontal=True):
        show = st.segmented_control(
            "Show", list(STATUS), default="Upcoming", required=True, key="show", bind="query-params"
        )
        competition = filters.select_competition(allow_all=True, width=170)
        team = filters.select_club("team", competition, width=250)
        upcoming = show == "Upcoming"
        day = st.date_input(
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
        "since": day if upcoming else None,
        "until": None if upcoming else day,
        "newest_first": show == "Results",
    }


def load_matches(selection: dict[str, Any], pages: int) -> tuple[list[Match], bool]:
    """Return the first pages of matches under these filters, and whether there are more."""
    matches: list[Match] = []
    cursor: str | None = None
    for _ in range(pages):
        page = api().matches(**selection, limit=PAGE_SIZE, cursor=cursor)
        matches += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return matches, cursor is not None


def summary(matches: list[Match]) -> str:
    """Say how often the favourite won; return an empty text if no listed match has both a score and a forecast."""
    settled = [match.favourite_won for match in matches if match.favourite_won is not None]
    if not settled:
        return ""
    share = f"{sum(settled)} of the {len(settled)}"
    return f"Favourite won **{share}** matches shown here ({sum(settled) / len(settled):.0%})"


def legend(matches: list[Match]) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.html(cards.LEGEND, width="content")
        if line := summary(matches):
            hint = "Of the matches on this page with a forecast and a result; Model has the scores of all matches. "
            "In leagues with clear favourites it is more often than in even ones."
            st.markdown(line, help=hint, width="content")
        with st.popover("How to read this", icon=":material/help:", type="tertiary"):
            st.markdown(cards.HOW_TO_READ)


def empty_state(selection: dict[str, Any]) -> None:
    """Say why the list is empty: the filters, the end of the season, or a pipeline that has not run."""
    status = selection["status"]
    if any(selection[name] for name in ("competition", "team", "since", "until")):
        notice("No matches for these filters.", "Change the dates, or choose another club or competition.")
    elif status == "postponed":
        notice("No postponed matches.", "A postponed match is listed here until it has a new date.")
    elif status == "scheduled" and api().matches(status="played", limit=1).items:
        notice(
            "No upcoming matches.",
            "The season is over, or its next fixtures are not in the data yet. Choose **Results** for past matches.",
        )
    else:
        notice(
            "No matches yet.",
            "Fixtures and results appear after the first pipeline run. `make up` starts one; in Dagster, materialise "
            "`matches` and the assets that depend on it.",
        )


def show_more(key: str) -> None:
    st.session_state[key] = st.session_state.get(key, 1) + 1


def page() -> None:
    st.title("Matches")
    filters.report_unknown_choices(
        {
            "show": STATUS,
            "competition": filters.competition_choices,
            "team": filters.club_choices,
            "day": None,
        }
    )
    selection = select_filters()
    key = f"pages:{selection}"
    matches, has_more = load_matches(selection, st.session_state.get(key, 1))
    if not matches:
        empty_state(selection)
        return
    timezone = formatting.browser_timezone()
    names = {competition.competition: competition.name for competition in api().competitions().items}
    legend(matches)
    st.html(cards.match_list(matches, timezone, names))
    if has_more:
        st.button("Show more", key="more", on_click=partial(show_more, key), width="stretch")
    utc_hint = "" if formatting.equals_utc(timezone, [match.kick_off for match in matches]) else " (hover for UTC)"
    st.caption(f"Kick-off times are in {formatting.timezone_name(timezone)}{utc_hint}. Open a match for its details.")


if __name__ == "__main__":
    page()
