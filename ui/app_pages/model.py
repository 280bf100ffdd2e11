"""Model: which version answers, how it does against the references, and whether its percentages mean what they say."""

from __future__ import annotations

import streamlit as st

from ui import charts, formatting, tables
from ui.api_client import NotFoundError, NotReadyError
from ui.api_models import Performance, PerformanceGroup
from ui.notices import notice
from ui.resources import api, settings

WINDOWS = {"season": "This season", "last_100": "Last 100 matches", "all": "Everything"}


def version() -> None:
    """The model that the workers really use."""
    try:
        info = api().model_info()
    except NotReadyError as error:
        notice("No model answers at the moment.", f"{error} Published forecasts and their scores stay readable.")
        return
    where = formatting.browser_timezone()
    name, through, loaded, features = st.columns(4)
    name.metric("In production", f"version {info.version}", help=f"Registered model `{info.name}`")
    through.metric("Trained on matches to", formatting.short_day(info.trained_through, where))
    if info.loaded_at:
        loaded.metric(
            "Loaded", formatting.moment(info.loaded_at, where), help=f"By {info.workers or 0} worker processes"
        )
    features.metric("Inputs", len(info.features), help=", ".join(info.features))
    if info.other_versions:
        older = ", ".join(map(str, info.other_versions))
        st.info(f"Some workers still answer with version {older}; they follow within seconds.")
    if settings().mlflow_url:
        address = f"{settings().mlflow_url.rstrip('/')}/#/models/{info.name}/versions/{info.version}"
        st.markdown(f"[Its run, data and evaluation in MLflow :material/open_in_new:]({address})")
    if info.tags:
        with st.expander("What the registry says of it"):
            st.table({"tag": list(info.tags), "value": list(info.tags.values())})


def chosen_group(report: Performance) -> PerformanceGroup | None:
    """The group under the reader's choice of competition and window."""
    competitions = list(dict.fromkeys(one.competition for one in report.groups))
    named = {one.competition: one.name for one in api().competitions().items} | {"all": "All competitions"}
    left, right = st.columns([1, 2])
    with left:
        competition = st.selectbox(
            "Competition", competitions, format_func=lambda slug: named.get(slug, slug), key="of", bind="query-params"
        )
    with right:
        label = st.segmented_control(
            "Matches", list(WINDOWS.values()), default=WINDOWS["season"], required=True, key="window",
            bind="query-params",
        )  # fmt: skip
    window = next(name for name, shown in WINDOWS.items() if shown == label)
    fits = [one for one in report.groups if (one.competition, one.window) == (competition, window)]
    return next((one for one in fits if one.model_version == "all"), None)


def by_version(report: Performance, group: PerformanceGroup) -> str:
    """How many of the forecasts that are scored came from which version of the model; empty where nobody tells."""
    of = [one for one in report.groups if (one.competition, one.window) == (group.competition, group.window)]
    versions = sorted((one.model_version, one.matches) for one in of if one.model_version != "all")
    said = ", ".join(f"{matches} by version {version}" for version, matches in versions)
    return f": {said}" if said else ""


def comparison(group: PerformanceGroup) -> None:
    st.subheader("Against simpler forecasts")
    if not group.against:
        st.caption("No reference has forecasts for these matches.")
        return
    for name, one in sorted(group.against.items(), key=lambda item: -item[1].skill):
        certain = one.low is not None and one.high is not None and (one.high < 0 or one.low > 0)
        better = "Better" if (one.mean or 0) < 0 else "Worse"
        sure = "beyond chance" if certain else f"though {one.n} matches cannot rule out chance"
        st.markdown(f"- **{better} than {charts.FORECASTERS.get(name, name)}**, {sure} (skill {one.skill:+.1%}).")
    st.altair_chart(charts.differences(group.against), width="stretch")
    st.caption("Left of zero the published forecasts are better; the line is what these matches leave open.")
    found = {said: group.scores.get(name) for name, said in charts.FORECASTERS.items()}
    st.html(tables.scores({said: of for said, of in found.items() if of is not None}))


def calibration(group: PerformanceGroup) -> None:
    st.subheader("Do its percentages mean what they say?")
    found = group.calibration
    if found.consistent:
        said = "Yes, as far as these matches can tell: the error is within what a perfect model would show"
    else:
        said = "**Not quite**: the error is larger than a perfect model would show 19 times in 20"
    st.markdown(f"{said} ({found.error:.3f}; limit for {group.matches} matches {found.limit:.3f}).")
    for column, (outcome, (name, colour)) in zip(st.columns(3), charts.OUTCOMES.items(), strict=True):
        if curve := found.curves.get(outcome):
            column.altair_chart(charts.reliability(curve, name, colour), width="stretch")
    st.caption(
        "Each dot is a group of forecasts: across, what was forecast; up, how often it happened; the line through it, "
        "what so few matches leave open. On the dashed diagonal the forecast is exact."
    )


def page() -> None:
    st.title("Model")
    version()
    try:
        report = api().performance()
    except NotFoundError:
        report = Performance()
    if not report.groups:
        notice(
            "No forecast has been settled yet.",
            "Scores appear once matches with a published forecast have been played. With the bundled data "
            "`touchline advance` moves the clock on by a week.",
        )
        return
    st.header("How good the published forecasts were", divider="gray")
    group = chosen_group(report)
    if group is None:
        notice("No settled match in this window.", "Choose a wider one.")
        return
    where = formatting.browser_timezone()
    span = f"{formatting.short_day(group.since, where)} to {formatting.short_day(group.to, where)}"
    st.caption(f"{group.matches} settled matches, {span}{by_version(report, group)}.")
    comparison(group)
    calibration(group)
    st.subheader("Week by week, all competitions")
    st.altair_chart(charts.score_trend(report.weeks), width="stretch")


if __name__ == "__main__":
    page()
