"""Drift: whether today's matches still look like those that the model learnt from."""

from __future__ import annotations

import streamlit as st

from ui import charts, formatting, tables
from ui.api_models import DriftSummary
from ui.notices import notice
from ui.resources import api, settings

ADVICE = {
    "drift": (
        "The inputs or the forecasts of these weeks differ from the reference by more than chance. Read the report, "
        "then record your judgement with the job `review_drift` in Dagster: no new model is promoted before."
    ),
    "stable": "Nothing differs from the reference by more than chance would.",
    "too_few_matches": (
        "The window holds too few matches for a verdict; it is never guessed. Until there are enough, no new model is "
        "promoted unless a person answers for it: job `review_drift` in Dagster, with a note."
    ),
}


def verdict(latest: DriftSummary) -> None:
    """The newest verdict and what to do about it."""
    state = charts.STATES.get(latest.state, latest.state)
    drifted = [tables.column_name(one.column) for one in latest.columns if one.drifted]
    what, which, matches = st.columns(3)
    what.metric("Newest verdict", state, help=f"Week of {latest.week}")
    which.metric("Figures that drifted", f"{len(drifted)} of {len(latest.columns)}", help=", ".join(drifted) or None)
    matches.metric("Matches in the window", latest.matches, help=f"A verdict needs {latest.minimum}.")
    advice = ADVICE.get(latest.state, "")
    if latest.state == "drift":
        st.warning(f"**{', '.join(drifted)}**: {advice}" if drifted else advice, icon=":material/warning:")
    else:
        st.markdown(advice)


def compared(one: DriftSummary) -> None:
    """What was compared in one week, column by column."""
    where = formatting.browser_timezone()
    if one.window.since and one.window.to and one.reference.since and one.reference.to:
        window = f"{formatting.short_day(one.window.since, where)} to {formatting.short_day(one.window.to, where)}"
        before = (
            f"{formatting.short_day(one.reference.since, where)} to {formatting.short_day(one.reference.to, where)}"
        )
        st.caption(f"{one.matches} matches, {window}, against the reference, {before}.")
    st.html(tables.drift(one.columns))
    if one.trust.false_alarm_rate is not None:
        st.caption(
            f"On {one.trust.windows} windows of past seasons without drift, this rule raised a false alarm in "
            f"{one.trust.false_alarm_rate:.0%}."
        )


def report(weeks: list[DriftSummary]) -> None:
    """A week's comparison, and the report itself: fetched only when asked for, it weighs some megabytes."""
    st.subheader("One week in detail")
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    with left:
        week = st.selectbox("Week of", [one.week for one in weeks], key="week", bind="query-params")
    with right:
        shown = st.toggle("Show the whole report", key="report", bind="query-params")
    chosen = next((one for one in weeks if one.week == week), weeks[0])
    if chosen.columns:
        compared(chosen)
    if shown and week:
        with st.spinner("Fetching the report …"):
            page = api().drift_report(week)
        st.download_button("Download as HTML", page, f"drift-{week}.html", "text/html", icon=":material/download:")
        st.iframe(page, alt=f"Drift report, week of {week}")


def page() -> None:
    st.title("Drift")
    st.caption(
        "Each week the latest matches and forecasts are compared with a fixed reference. Drift is no fault by itself: "
        "it says that the model works on matches unlike those it learnt from."
    )
    weeks = api().drift().items
    if not weeks:
        notice(
            "No drift report yet.",
            "One is written for each week that is over: in Dagster, materialise `drift_report`.",
        )
        if settings().dagster_url:
            st.link_button("Open Dagster", settings().dagster_url, icon=":material/open_in_new:")
        return
    verdict(weeks[0])
    st.subheader("Week by week")
    st.altair_chart(charts.drift_trend(weeks), width="stretch")
    report(weeks)


if __name__ == "__main__":
    page()
