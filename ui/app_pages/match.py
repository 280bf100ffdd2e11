"""One match: its published forecast and result, a forecast made now, form, ratings and earlier meetings."""

from __future__ import annotations

from itertools import islice

import streamlit as st

from ui import cards, charts, formatting, insights, recent_results
from ui.api_client import ApiError, NotFoundError
from ui.api_models import Forecast, Match
from ui.markdown_text import as_text
from ui.notices import notice
from ui.prediction import predict_now
from ui.resources import api

FORM_MATCHES = 6


def published_forecast(match: Match) -> None:
    st.header("Published forecast", help=cards.HOW_TO_READ)
    if match.forecast is None:
        empty_state(match)
        return
    outcome = match.score.outcome if match.score else None
    st.html(cards.labelled_bar(match.forecast.probabilities, match.home_team, match.away_team, outcome))
    st.markdown(cards.forecast_sentence(match))
    insight_panel(match)
    st.caption(cards.provenance(match.forecast, formatting.browser_timezone()) + settlement(match))


def empty_state(match: Match) -> None:
    if match.score is None:
        notice(
            "No forecast published yet.",
            "Forecasts are published a few weeks before kick-off. Until then, use **Predict now** below.",
        )
    else:
        notice(
            "No forecast was published for this match.",
            "It was played before the first forecasts, or it was added to the data too late. Forecasts are never "
            "added after kick-off.",
        )


def insight_panel(match: Match) -> None:
    """Show the details of the forecast, or nothing: the API has none for forecasts of older versions."""
    try:
        insight = api().insight(match.match_id)
    except ApiError:
        return
    if warning := insights.sparse_history_warning(insight, match):
        st.info(warning, icon=":material/question_mark:")
    st.html(insights.insight_panel(insight, match))


def settlement(match: Match) -> str:
    """Return the scores of the forecast, or an empty text before the match."""
    if match.score is None:
        return ""
    try:
        scores = api().published_forecast(match.match_id).settled
    except ApiError:
        return ""
    if scores is None:
        return " · not settled yet"
    return f" · RPS {scores.rps:.3f} (0 is perfect), log loss {scores.log_loss:.2f}"


def new_forecast(match: Match) -> None:
    """Offer a forecast by the current model. It stays on the page until the reader opens another match."""
    key = f"new_forecast:{match.match_id}"
    with st.container(border=True):
        text, button = st.columns([4, 1], vertical_alignment="center")
        text.markdown(
            "**Predict now** with the production model and the clubs’ latest ratings."
            + (" The ratings already include this result." if match.score else "")
            + (" The published forecast does not change." if match.forecast and not match.score else "")
        )
        if button.button("Predict now", type="primary", icon=":material/bolt:", key="predict_now", width="stretch"):
            st.session_state[key] = predict_now(match.home_team, match.away_team, match.competition)
        forecast: Forecast | None = st.session_state.get(key)
        if forecast:
            st.html(cards.labelled_bar(forecast.probabilities, match.home_team, match.away_team))
            st.caption(cards.provenance(forecast, formatting.browser_timezone()))


def recent_form(match: Match) -> None:
    st.header("Form before this match")
    for column, club in zip(st.columns(2, gap="large"), (match.home_team, match.away_team), strict=True):
        results = list(islice(api().results(club, match.competition, match.kick_off), FORM_MATCHES))
        with column:
            st.markdown(f"**{as_text(club)}**")
            if results:
                st.html(recent_results.results_table(club, results, formatting.browser_timezone()))
            else:
                st.caption("No earlier results in the data.")


def rating_history(match: Match) -> None:
    """Show the ratings of both clubs; nothing if the API is older or has no ratings yet."""
    try:
        history = api().ratings(match.match_id).items
    except ApiError:
        return
    if len({rating.kick_off for rating in history}) < 2:  # a line needs two points
        return
    latest = {rating.team: rating.elo for rating in history}
    home, away = latest.get(match.home_team), latest.get(match.away_team)
    st.header("Rating history")
    if home and away:
        st.markdown(
            f"Elo before this match: {as_text(match.home_team)} **{home:.0f}**, "
            f"{as_text(match.away_team)} **{away:.0f}**.",
            help="On neutral ground, a club that is 100 points ahead is expected to take about 64% of the points. "
            "Ratings change with every result; clear wins change them more.",
        )
    st.altair_chart(charts.rating_history(history, match.home_team, match.away_team), width="stretch")


def earlier_meetings(match: Match) -> None:
    st.header("Earlier meetings")
    clubs = {match.home_team, match.away_team}
    results = api().results(match.home_team, match.competition, match.kick_off)
    meetings = [result for result in results if {result.home_team, result.away_team} == clubs]
    if meetings:
        st.html(
            recent_results.meetings_table(match.home_team, match.away_team, meetings, formatting.browser_timezone())
        )
    else:
        st.caption("No earlier meetings in the data.")


def page() -> None:
    match_id = st.query_params.get("match_id", "")
    st.page_link("app_pages/matches.py", label="All matches", icon=":material/arrow_back:")
    if not match_id:
        notice("No match selected.", "Open one from the list of matches.")
        return
    try:
        match = api().match(match_id)
    except NotFoundError as error:
        notice("Match not found.", f"{as_text(error)} Open one from the list of matches.")
        return
    st.set_page_config(page_title=f"{match.home_team} v {match.away_team} · Touchline")
    st.html(cards.headline_card(match, formatting.browser_timezone()))
    published_forecast(match)
    new_forecast(match)
    recent_form(match)
    rating_history(match)
    earlier_meetings(match)


if __name__ == "__main__":
    page()
