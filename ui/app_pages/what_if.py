"""What if: a forecast for any two clubs, at either ground."""

from __future__ import annotations

import streamlit as st

from ui import cards, filters, formatting
from ui.api_models import Forecast
from ui.markdown_text import as_text
from ui.notices import notice
from ui.prediction import predict_now
from ui.resources import api


def swap_clubs() -> None:
    state = st.session_state
    state["home"], state["away"] = state.get("away"), state.get("home")


def select_clubs() -> tuple[str | None, str | None, str | None]:
    """Return competition, home club and away club; the page address keeps the choice."""
    competition = filters.select_competition()
    left, middle, right = st.columns([5, 1.2, 5], vertical_alignment="bottom")
    with left:
        home = filters.select_club("home", competition, label="Home", placeholder="Choose a club")
    middle.button("Swap", icon=":material/swap_horiz:", on_click=swap_clubs, key="swap", width="stretch")
    with right:
        away = filters.select_club("away", competition, label="Away", placeholder="Choose a club")
    return competition, home, away


def verbalise_ratings(home: str, away: str, competition: str | None) -> str:
    """Put the Elo of both clubs into a sentence, with the number of matches that each is based on."""
    clubs = {club.name: club for club in api().teams().items if competition in (None, club.competition)}
    home_club, away_club = clubs[home], clubs[away]
    ratings = " and ".join(
        f"{as_text(club.name)} **{club.elo:.0f}** (from {club.matches_played} matches)"
        for club in (home_club, away_club)
    )
    gap = abs(home_club.elo - away_club.elo)
    return f"Elo ratings: {ratings}, {gap:.0f} points apart. The forecast adds home advantage."


def page() -> None:
    st.title("What if")
    st.caption(
        "Choose any two clubs of a competition, even if they are not due to meet. The forecast is not published."
    )
    competition, home, away = select_clubs()
    if not competition:
        notice("No clubs yet.", "Clubs appear here once the pipeline has rated them; `make up` runs the pipeline.")
        return
    if not home or not away:
        notice("Choose two clubs.", "The page address keeps your choice, so you can share it.")
        return
    if home == away:
        st.warning("Choose two different clubs.", icon=":material/info:")
        return
    st.markdown(verbalise_ratings(home, away, competition))
    key = f"what_if:{competition}:{home}:{away}"
    if st.button("Predict", type="primary", icon=":material/bolt:", key="predict"):
        st.session_state[key] = predict_now(home, away, competition)
    forecast: Forecast | None = st.session_state.get(key)
    if forecast:
        st.html(cards.labelled_bar(forecast.probabilities, home, away))
        st.caption(cards.provenance(forecast, formatting.browser_timezone()))


if __name__ == "__main__":
    page()
