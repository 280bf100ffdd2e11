"""Model: the version in production, the candidate for it, its scores against the baselines, and its calibration."""

from __future__ import annotations

from urllib.parse import quote

import streamlit as st

from ui import charts, filters, formatting, score_and_drift_tables
from ui.api_client import NotFoundError, NotReadyError
from ui.api_models import ModelInfo, Performance, PerformanceGroup, ProvisionalModel
from ui.candidate import candidate
from ui.markdown_text import as_text
from ui.notices import notice
from ui.resources import api, settings

BASELINES = {"elo": "plain Elo", "base": "the base rate", "market": "the bookmakers"}
WINDOWS = {"season": "This season", "last_100": "Last 100 matches", "all": "All matches"}


def production_model() -> None:
    """Show the model that the workers use."""
    try:
        info = api().model_info()
    except NotReadyError as error:
        notice("No model is available.", f"{as_text(error)} Published forecasts and their scores can still be read.")
        return
    model_metrics(info)
    if info.provisional:
        st.warning(
            f"**Version {info.version} is provisional.** It is the first version of this installation and was "
            f"{_judged_by(info.provisional)}"
        )
    if info.other_versions:
        versions = ", ".join(map(str, info.other_versions))
        st.info(f"Some workers still use version {versions}. They switch within seconds.")
    if settings().mlflow_url:
        url = f"{settings().mlflow_url.rstrip('/')}/#/models/{quote(info.name, safe='')}/versions/{info.version}"
        st.markdown(f"[Training run, data and evaluation in MLflow :material/open_in_new:]({url})")
    if info.tags:
        with st.expander("Tags in the model registry"):
            st.table({"tag": list(map(as_text, info.tags)), "value": list(map(as_text, info.tags.values()))})


def _judged_by(provisional: ProvisionalModel) -> str:
    """Finish the sentence on what a provisional version was judged by, and what is missing."""
    if provisional.missing:
        counts = f"judged by {provisional.matches} matches: {provisional.missing} more are needed to confirm it."
        return counts.replace(" 1 matches", " 1 match")
    return f"judged by {provisional.matches} matches, which did not confirm it: {as_text(provisional.reason)}."


def model_metrics(info: ModelInfo) -> None:
    timezone = formatting.browser_timezone()
    version, trained, loaded, inputs = st.columns(4)
    version.metric("In production", f"version {info.version}", help=f"Registered model {as_text(info.name)}")
    trained.metric("Trained on matches up to", formatting.short_date(info.trained_through, timezone))
    if info.loaded_at:
        workers = f"{info.workers or 0} worker {'process' if info.workers == 1 else 'processes'}"
        loaded.metric("Loaded", formatting.date_and_time(info.loaded_at, timezone), help=f"By {workers}")
    inputs.metric("Model inputs", len(info.features), help=as_text(", ".join(info.features)))


def select_group(report: Performance) -> PerformanceGroup | None:
    """Return the scores of the selected competition and window over all model versions; None if there are none."""
    competitions = list(dict.fromkeys(group.competition for group in report.groups))
    names = {competition.competition: competition.name for competition in api().competitions().items}
    names["all"] = "All competitions"
    left, right = st.columns([1, 2])
    with left:
        competition = st.selectbox(
            "Competition", competitions, format_func=lambda slug: names.get(slug, slug), key="of", bind="query-params"
        )
    with right:
        label = st.segmented_control(
            "Matches", list(WINDOWS.values()), default=WINDOWS["season"], required=True, key="window",
            bind="query-params",
        )  # fmt: skip
    window = next(name for name, window_label in WINDOWS.items() if window_label == label)
    selection = (competition, window, "all")
    groups = {(group.competition, group.window, group.model_version): group for group in report.groups}
    return groups.get(selection)


def version_counts(report: Performance, group: PerformanceGroup) -> str:
    """Say how many of these forecasts each model version made; return an empty text if the report does not say."""
    counts = sorted(
        (other.model_version, other.matches)
        for other in report.groups
        if (other.competition, other.window) == (group.competition, group.window) and other.model_version != "all"
    )
    text = ", ".join(f"{matches} by version {version}" for version, matches in counts)
    return f": {text}" if text else ""


def baseline_comparison(group: PerformanceGroup) -> None:
    st.subheader("Compared with the baselines")
    if not group.against:
        st.caption("No baseline has forecasts for these matches.")
        return
    for name, comparison in sorted(group.against.items(), key=lambda item: -item[1].skill):
        is_significant = (
            comparison.low is not None and comparison.high is not None and (comparison.high < 0 or comparison.low > 0)
        )
        better = "Better" if (comparison.mean or 0) < 0 else "Worse"
        chance = "is more than chance" if is_significant else f"could be chance with {comparison.n} matches"
        skill = f"{comparison.skill:+.1%}".replace("-", "−")
        st.markdown(
            f"- **{better} than {as_text(BASELINES.get(name, name))}** (skill {skill}). The difference {chance}."
        )
    st.altair_chart(charts.rps_differences(group.against), width="stretch")
    st.caption("Each line is the 95% interval of the difference on the same matches.")
    scores = {label: group.scores.get(name) for name, label in charts.FORECASTERS.items()}
    st.html(score_and_drift_tables.score_table({label: score for label, score in scores.items() if score is not None}))


def calibration(group: PerformanceGroup) -> None:
    st.subheader("Calibration: does 60% mean 60%?")
    report = group.calibration
    numbers = f"calibration error {report.error:.3f}, limit for {group.matches} matches {report.limit:.3f}"
    if report.consistent:
        st.markdown(f"**Yes**, as far as these matches can show ({numbers}).")
    else:
        st.markdown(f"**Not quite.** A perfectly calibrated model stays below the limit 19 times in 20 ({numbers}).")
    for column, (outcome, (label, colour)) in zip(st.columns(3), charts.OUTCOMES.items(), strict=True):
        if curve := report.curves.get(outcome):
            column.altair_chart(charts.reliability(curve, label, colour), width="stretch")
    st.caption(
        "Each dot is a group of forecasts: its position to the right is the forecast probability, its height is how "
        "often the outcome happened. The vertical line is the 95% interval for that many matches. Dots on the dashed "
        "diagonal are perfectly calibrated."
    )


def page() -> None:
    st.title("Model")
    filters.report_unknown_choices({"of": None, "window": WINDOWS.values()})
    production_model()
    candidate()
    try:
        report = api().performance()
    except NotFoundError:
        report = Performance()
    if not report.groups:
        notice(
            "No scores yet.",
            "They appear once matches with a published forecast have been played.",
        )
        return
    st.header("Scores of the published forecasts", divider="gray")
    group = select_group(report)
    if group is None:
        notice("No settled matches in this window.", "Choose a longer window or another competition.")
        return
    timezone = formatting.browser_timezone()
    dates = f"{formatting.short_date(group.since, timezone)} to {formatting.short_date(group.to, timezone)}"
    st.caption(f"{group.matches} settled matches, {dates}{version_counts(report, group)}.")
    baseline_comparison(group)
    calibration(group)
    st.subheader("Week by week, all competitions")
    st.altair_chart(charts.score_trend(report.weeks), width="stretch")


if __name__ == "__main__":
    page()
