"""Drift: whether recent matches and forecasts differ from those of the reference period."""

from __future__ import annotations

import streamlit as st

from ui import charts, formatting, score_and_drift_tables
from ui.api_client import NotFoundError
from ui.api_models import DateRange, DriftSummary
from ui.markdown_text import as_text
from ui.notices import notice
from ui.report_frame import framed
from ui.resources import api, settings

ADVICE = {
    "drift": (
        "This week differs from the reference by more than chance. Read the report, then record your judgement with "
        "the job `review_drift` in Dagster. Until then no new model is promoted."
    ),
    "stable": "Nothing differs from the reference by more than chance.",
    "too_few_matches": (
        "The window has too few matches for a verdict. No new model is promoted until it has enough, or until someone "
        "records a judgement, with a note, with the job `review_drift` in Dagster."
    ),
}


def latest_verdict(summary: DriftSummary) -> None:
    """Show the verdict of the latest week and what to do about it."""
    state = charts.DRIFT_STATES.get(summary.state, summary.state)
    drifted = [score_and_drift_tables.column_label(column.column) for column in summary.columns if column.drifted]
    verdict, columns, matches = st.columns(3)
    verdict.metric("Latest verdict", state, help=f"Week of {as_text(summary.week)}")
    columns.metric(
        "Drifted columns", f"{len(drifted)} of {len(summary.columns)}", help=as_text(", ".join(drifted)) or None
    )
    matches.metric("Matches in the window", summary.matches, help=f"A verdict needs {summary.minimum}.")
    advice = ADVICE.get(summary.state, "")
    if summary.state == "drift":
        names = f"**Drifted: {as_text(', '.join(drifted))}.** " if drifted else ""
        st.warning(names + advice, icon=":material/warning:")
    else:
        st.markdown(advice)


def surprise() -> None:
    """Say whether this season's results are what the forecasts promised."""
    try:
        groups = api().performance().groups
    except NotFoundError:
        return
    key = ("all", "season", "all")
    season = next((group for group in groups if (group.competition, group.window, group.model_version) == key), None)
    if season is None or season.surprise is None or season.surprise.low is None or season.surprise.mean is None:
        return
    score = season.scores.get("model")
    if score is None:
        return
    figures = f"RPS {score.rps:.4f} on {season.surprise.n} matches, {score.rps - season.surprise.mean:.4f} expected"
    if season.surprise.low > 0:
        st.warning(
            f"**Results surprise the model this season** ({figures}). This is more than chance: its forecasts "
            "are too sure, or results are wrong.",
            icon=":material/warning:",
        )
    else:
        st.markdown(f"This season's results are no more surprising than the forecasts promised ({figures}).")


def comparison(summary: DriftSummary) -> None:
    """Show what was compared in one week, column by column."""
    window, reference = date_range(summary.window), date_range(summary.reference)
    if window and reference:
        st.caption(f"{summary.matches} matches ({window}) compared with the reference ({reference}).")
    st.html(score_and_drift_tables.drift_table(summary.columns))
    calibration = summary.threshold_calibration
    if calibration.false_alarm_rate is not None:
        st.caption(
            f"Tested on {calibration.windows} windows of past seasons without drift, this rule raised a false alarm "
            f"in {calibration.false_alarm_rate:.0%} of them."
        )


def date_range(dates: DateRange) -> str:
    timezone = formatting.browser_timezone()
    if not (dates.since and dates.to):
        return ""
    return f"{formatting.short_date(dates.since, timezone)} to {formatting.short_date(dates.to, timezone)}"


def week_details(weeks: list[DriftSummary]) -> None:
    """Show the comparison of a selected week; its report of several megabytes is fetched only on request."""
    st.header("One week in detail")
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    with left:
        week = st.selectbox("Week of", [summary.week for summary in weeks], key="week", bind="query-params")
    with right:
        show_report = st.toggle("Show the full report", key="report", bind="query-params")
    selected = next((summary for summary in weeks if summary.week == week), weeks[0])
    if selected.columns:
        comparison(selected)
    if show_report and week:
        with st.spinner("Loading the report …"):
            html = api().drift_report(week)
        st.download_button("Download as HTML", html, f"drift-{week}.html", "text/html", icon=":material/download:")
        title = f"Drift report, week of {week}"
        st.iframe(framed(html, title), alt=title)


def page() -> None:
    st.title("Drift")
    st.caption(
        "Every week the latest matches and forecasts are compared with a fixed reference period. Drift is not an error "
        "in itself: it means that recent matches differ from those the model learnt from."
    )
    weeks = api().drift().items
    if not weeks:
        notice(
            "No drift reports yet.",
            "A report is written for every completed week. In Dagster, materialise `drift_report`.",
        )
        if settings().dagster_url:
            st.link_button("Open Dagster", settings().dagster_url, icon=":material/open_in_new:")
        return
    latest_verdict(weeks[0])
    surprise()
    st.header("Week by week")
    st.altair_chart(charts.drift_trend(weeks), width="stretch")
    week_details(weeks)


if __name__ == "__main__":
    page()
