"""What if: a forecast for any two clubs, at either ground."""

from __future__ import annotations

import streamlit as st

from ui import cards, filters, formatting
from ui.api_models import Forecast
from ui.notices import notice
from ui.prediction import predict_now
from ui.resources import api


def swap() -> None:
    state = st.session_state
    state["home"], state["away"] = state.get("away"), state.get("home")


def choose() -> tuple[str | None, str | None, str | None]:
    """Competition, home and away club, kept in the address."""
    competition = filters.competition()
    home, middle, away = st.columns([5, 1.2, 5], vertical_alignment="bottom")
    with home:
        first = filters.club("Choose a club", "home", competition, label="Home")
    middle.button("Swap", icon=":material/swap_horiz:", on_click=swap, key="swap", width="stretch")
    with away:
        second = filters.club("Choose a club", "away", competition, label="Away")
    return competition, first, second


def ratings(home: str, away: str, competition: str | None) -> str:
    """What is known of both clubs: their Elo, and from how many matches."""
    known = {club.name: club for club in api().teams().items if competition in (None, club.competition)}
    first, second = known[home], known[away]
    gap = abs(first.elo - second.elo)
    said = " and ".join(f"{one.name} **{one.elo:.0f}** ({one.matches_played} matches known)" for one in (first, second))
    return f"Elo ratings: {said}, {gap:.0f} apart; the home side’s advantage comes on top."


def page() -> None:
    st.title("What if")
    st.caption("Any two clubs of a competition, whether or not they are due to meet. Made on request, never published.")
    competition, home, away = choose()
    if not competition:
        notice("No clubs yet.", "Clubs can be chosen once the pipeline has rated them: `make up` runs it on start.")
        return
    if not home or not away:
        notice("Choose two clubs.", "Then ask for the forecast; the address of this page keeps your choice.")
        return
    if home == away:
        st.warning("A club does not play itself: choose two different ones.", icon=":material/info:")
        return
    st.markdown(ratings(home, away, competition))
    key = f"what-if:{competition}:{home}:{away}"
    if st.button("Predict", type="primary", icon=":material/bolt:", key="predict"):
        st.session_state[key] = predict_now(home, away, competition)
    made: Forecast | None = st.session_state.get(key)
    if made:
        st.html(cards.big_bar(made.probabilities, home, away))
        st.caption(cards.provenance(made, formatting.browser_timezone()))


if __name__ == "__main__":
    page()
