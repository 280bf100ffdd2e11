"""Table forecast: where each club is likely to finish, from simulations of the rest of the season."""

from __future__ import annotations

import streamlit as st

from ui import filters, formatting
from ui.api_client import NotFoundError
from ui.api_models import SeasonTable
from ui.markdown_text import as_text
from ui.notices import notice
from ui.resources import api
from ui.season_table import season_table


def explanation(table: SeasonTable) -> None:
    """Say how the table was made, how to read it, and what is unknown about this competition."""
    zones = [zone.name for zone in table.places if zone.kind != "title"]
    by_position = [zone.name for zone in table.places if zone.kind == "top"]
    st.caption(
        "The rest of the season is simulated thousands of times from the forecasts. The squares show how often a club "
        "finishes in each place, from first on the left to last on the right: the stronger the colour, the more often."
        + (f" Thin lines separate the zones: {as_text(', '.join(zones))}." if zones else "")
        + (
            f" {as_text(', '.join(by_position))}: by league position; places won through cups are not included."
            if by_position
            else ""
        )
    )
    for sentence in table.caveats:
        st.caption(as_text(sentence))
    if not table.complete and not table.caveats:
        st.caption(
            "This is not the whole season: how the competition continues is unknown, so only the listed matches were "
            "simulated."
        )
    if not table.places_known and not table.caveats:
        st.caption(
            "What the places of this competition bring, such as promotion or relegation, is unknown; the table shows "
            "first and last place instead."
        )
    as_of = formatting.short_date(table.features_as_of, formatting.browser_timezone())
    st.caption(f"Season {as_text(table.season)}, model version {table.model_version}, results up to {as_of}.")


def empty_state() -> None:
    notice(
        "No table forecast yet.",
        "It is published with the forecasts as long as the season has fixtures left. In Dagster, materialise "
        "`season_forecast`.",
    )


def page() -> None:
    st.title("Table forecast")
    filters.report_unknown_choices({"league": filters.competition_choices})
    competition = filters.select_competition()
    if competition is None:
        empty_state()
        return
    try:
        table = api().season_table(competition)
    except NotFoundError:
        empty_state()
        return
    explanation(table)
    st.html(season_table(table))


if __name__ == "__main__":
    page()
