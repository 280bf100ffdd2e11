"""One match: the published forecast, what happened, a forecast made now, form, and earlier meetings."""

from __future__ import annotations

from itertools import islice

import streamlit as st

from ui import cards, charts, form, formatting, insights
from ui.api_client import ApiError, NotFoundError
from ui.api_models import Forecast, Match
from ui.notices import notice
from ui.prediction import predict_now
from ui.resources import api

FORM = 6


def published(match: Match) -> None:
    st.subheader("Published forecast", help=cards.MEANING)
    if match.forecast is None:
        if match.score is None:
            notice(
                "No forecast is published yet.",
                "Forecasts are published some weeks before kick-off. Until then you can make one now.",
            )
        else:
            notice(
                "No forecast was published for this match.",
                "It was played before the platform published any, or was listed too late. Forecasts are never made "
                "up afterwards.",
            )
        return
    happened = match.score.outcome if match.score else None
    st.html(cards.big_bar(match.forecast.probabilities, match.home_team, match.away_team, happened))
    st.markdown(cards.verbalise(match))
    insight_panel(match)
    st.caption(cards.provenance(match.forecast, formatting.browser_timezone()) + settled(match))


def insight_panel(match: Match) -> None:
    """What stands behind the forecast; left out where the API has none, as of forecasts of an older version."""
    try:
        told = api().insight(match.match_id)
    except ApiError:
        return
    if warning := insights.little_known(told, match):
        st.info(warning, icon=":material/question_mark:")
    st.html(insights.block(told, match))


def settled(match: Match) -> str:
    """The scores of the forecast, where the match is over and settled."""
    if match.score is None:
        return ""
    try:
        found = api().published(match.match_id).settled
    except ApiError:
        return ""
    return f" · RPS {found.rps:.3f} (0 is perfect), log loss {found.log_loss:.2f}" if found else " · not settled yet"


def now(match: Match) -> None:
    key = f"now:{match.match_id}"
    with st.container(border=True):
        text, button = st.columns([4, 1], vertical_alignment="center")
        text.markdown(
            "**Predict now** with the model in production and the clubs’ latest ratings"
            + (", which know this result by now." if match.score else ".")
            + (" The published forecast stays." if match.forecast and not match.score else "")
        )
        if button.button("Predict now", type="primary", icon=":material/bolt:", key="predict_now", width="stretch"):
            st.session_state[key] = predict_now(match.home_team, match.away_team, match.competition)
        fresh: Forecast | None = st.session_state.get(key)
        if fresh:
            st.html(cards.big_bar(fresh.probabilities, match.home_team, match.away_team))
            st.caption(cards.provenance(fresh, formatting.browser_timezone()))


def recent_form(match: Match) -> None:
    st.subheader("Form before this match")
    for column, club in zip(st.columns(2, gap="large"), (match.home_team, match.away_team), strict=True):
        recent = list(islice(api().results(club, match.competition, match.kick_off), FORM))
        with column:
            st.markdown(f"**{club}**")
            if recent:
                st.html(form.form(club, recent, formatting.browser_timezone()))
            else:
                st.caption("No earlier result in the data.")


def rating_history(match: Match) -> None:
    """Left out where the API has none: an older one, or features not computed yet."""
    try:
        history = api().ratings(match.match_id).items
    except ApiError:
        return
    if len({one.kick_off for one in history}) < 2:  # one point is no history
        return
    latest = {one.team: one.elo for one in history}
    home, away = latest.get(match.home_team), latest.get(match.away_team)
    st.subheader("Rating history")
    if home and away:
        st.markdown(
            f"Before this match: {match.home_team} **{home:.0f}**, {match.away_team} **{away:.0f}** Elo.",
            help="A hundred points more mean about 64 % of the points at stake on neutral ground. "
            "Ratings rise and fall with every result, more so with clear ones.",
        )
    st.altair_chart(charts.ratings(history, match.home_team, match.away_team), width="stretch")


def meetings(match: Match) -> None:
    st.subheader("Earlier meetings")
    pair = {match.home_team, match.away_team}
    everything = api().results(match.home_team, match.competition, match.kick_off)
    met = [one for one in everything if {one.home_team, one.away_team} == pair]
    if met:
        st.html(form.meetings(match.home_team, match.away_team, met, formatting.browser_timezone()))
    else:
        st.caption("These clubs have not met in the data.")


def page() -> None:
    match_id = st.query_params.get("match_id", "")
    st.page_link("app_pages/matches.py", label="All matches", icon=":material/arrow_back:")
    if not match_id:
        notice("No match chosen.", "Choose one from the list of matches.")
        return
    try:
        match = api().match(match_id)
    except NotFoundError as error:
        notice("There is no such match.", str(error))
        return
    st.set_page_config(page_title=f"{match.home_team} v {match.away_team} · Touchline")
    st.html(cards.headline_card(match, formatting.browser_timezone()))
    published(match)
    now(match)
    recent_form(match)
    rating_history(match)
    meetings(match)


if __name__ == "__main__":
    page()
