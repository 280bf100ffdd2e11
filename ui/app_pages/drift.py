"""Drift: whether today's matches still look like those that the model learnt from."""

from __future__ import annotations

import streamlit as st

from ui import charts
from ui.answers import DriftSummary
from ui.session import api, empty, settings

HEIGHT = 900
ADVICE = {
    "drift": (
        "The inputs or the forecasts of these weeks differ from the reference by more than chance. Read the report, "
        "then record your judgement with the job `review_drift` in Dagster: no new model is promoted before."
    ),
    "stable": "Nothing differs from the reference by more than chance would.",
    "too_few_matches": "The window holds too few matches for a verdict; it is never guessed.",
}


def verdict(latest: DriftSummary) -> None:
    """The newest verdict and what to do about it."""
    state = charts.STATES.get(latest.state, latest.state)
    what, share, matches = st.columns(3)
    what.metric("Newest verdict", state, help=f"Week of {latest.week}")
    share.metric("Columns that drifted", "–" if latest.share is None else f"{latest.share:.0%}")
    matches.metric("Matches in the window", latest.matches)
    advice = ADVICE.get(latest.state, "")
    if latest.state == "drift":
        st.warning(advice, icon=":material/warning:")
    else:
        st.markdown(advice)


def weeks_table(weeks: list[DriftSummary]) -> None:
    st.dataframe(
        {
            "week of": [one.week for one in weeks],
            "verdict": [charts.STATES.get(one.state, one.state) for one in weeks],
            "columns that drifted": [one.share for one in weeks],
            "matches": [one.matches for one in weeks],
        },
        hide_index=True,
        column_config={"columns that drifted": st.column_config.NumberColumn(format="percent")},
    )


def report(weeks: list[DriftSummary]) -> None:
    """The report itself, fetched only when it is asked for: it weighs some megabytes."""
    st.subheader("The report")
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    with left:
        week = st.selectbox("Week of", [one.week for one in weeks], key="week", bind="query-params")
    with right:
        shown = st.toggle("Show the report here", key="report", bind="query-params")
    if shown and week:
        with st.spinner("Fetching the report …"):
            page = api().drift_report(week)
        st.download_button("Download as HTML", page, f"drift-{week}.html", "text/html", icon=":material/download:")
        st.iframe(page, height=HEIGHT)


def page() -> None:
    st.title("Drift")
    st.caption(
        "Each week the latest matches and forecasts are compared with a fixed reference. Drift is no fault by itself: "
        "it says that the model works on matches unlike those it learnt from."
    )
    weeks = api().drift().items
    if not weeks:
        empty(
            "No drift report yet.",
            "The first one is written when enough forecasts have been published: in Dagster, materialise "
            "`drift_report`.",
        )
        if settings().dagster_url:
            st.link_button("Open Dagster", settings().dagster_url, icon=":material/open_in_new:")
        return
    verdict(weeks[0])
    st.subheader("Week by week")
    st.altair_chart(charts.drift_trend(weeks), width="stretch")
    weeks_table(weeks)
    report(weeks)


if __name__ == "__main__":
    page()
