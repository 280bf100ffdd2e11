"""Table: where each club is likely to finish, from simulations of the rest of the season."""

from __future__ import annotations

import streamlit as st

from ui import filters, formatting, season_table
from ui.api_client import NotFoundError
from ui.notices import notice
from ui.resources import api


def page() -> None:
    st.title("Table forecast")
    competition = filters.competition()
    if competition is None:
        empty_state()
        return
    try:
        table = api().table(competition)
    except NotFoundError:
        empty_state()
        return
    marked = [place.name for place in table.places if place.kind != "title"]
    europe = any(place.kind == "top" for place in table.places)
    st.caption(
        "The rest of the season played out thousands of times from the forecasts. The squares show how often a club "
        "finishes at each place, from first on the left to last on the right: the stronger the colour, the more often."
        + (f" Thin lines mark off {', '.join(marked)}." if marked else "")
        + (" European places are those by league position; what cup winners earn comes on top." if europe else "")
    )
    if not table.complete:
        st.caption(
            "Not the whole season: how this competition continues is not known, so only the matches that are listed "
            "were played out."
        )
    if not table.places_known:
        st.caption(
            "Who goes up, down or to Europe from this competition is not known here: its first and last stand in."
        )
    known = formatting.short_day(table.features_as_of, formatting.browser_timezone())
    st.caption(f"Season {table.season}, by model version {table.model_version}, with results to {known}.")
    st.html(season_table.season_table(table))


def empty_state() -> None:
    notice(
        "No table forecast yet.",
        "It is published with the forecasts, while a season has fixtures left: in Dagster, materialise "
        "`season_forecast`.",
    )


if __name__ == "__main__":
    page()
