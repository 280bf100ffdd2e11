"""Altair charts. Home, draw and away have the colours of style.css.

The description of a chart is its name for a screen reader.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from ui.api_models import Comparison, CurvePoint, DriftSummary, PerformanceWeek, Rating

HOME, DRAW, AWAY = "#2469ad", "#7d8894", "#ec9a3c"
"""Draws are darker than in style.css: a thin line has to be visible."""
MODEL = "#0b6b4f"
FORECASTERS = {"model": "Touchline", "elo": "plain Elo", "base": "base rate", "market": "bookmakers"}
_COLOURS = {"Touchline": MODEL, "plain Elo": "#7d8894", "base rate": "#b9a37c", "bookmakers": "#a0529c"}
OUTCOMES = {"home": ("home win", HOME), "draw": ("draw", DRAW), "away": ("away win", AWAY)}
DRIFT_STATES = {"stable": "no drift", "drift": "drift", "too_few_matches": "too few matches"}
_STATE_COLOURS = {"no drift": MODEL, "drift": "#c2410c", "too few matches": "#9aa5ae"}
_MAX_WEEK_LABELS = 8


def reliability(curve: list[CurvePoint], title: str, colour: str) -> alt.LayerChart:
    """Forecast probability against observed frequency of one outcome; a calibrated forecast lies on the diagonal."""
    points = pd.DataFrame([point.model_dump() for point in curve])
    unit, percent = alt.Scale(domain=[0, 1]), alt.Axis(format="%", tickCount=5, grid=True)
    base = alt.Chart(points).encode(
        x=alt.X("forecast:Q", title="forecast", scale=unit, axis=percent),
        color=alt.value(colour),
        tooltip=[
            alt.Tooltip("n:Q", title="matches"),
            alt.Tooltip("forecast:Q", format=".0%"),
            alt.Tooltip("observed:Q", title="happened", format=".0%"),
            alt.Tooltip("low:Q", title="95% interval from", format=".0%"),
            alt.Tooltip("high:Q", title="to", format=".0%"),
        ],
    )
    happened = alt.Y("observed:Q", title="happened", scale=unit, axis=percent)
    diagonal = (
        alt.Chart(points)
        .mark_rule(strokeDash=[4, 4], color="#9aa5ae")
        .encode(
            x=alt.XDatum(0.0, axis=percent, scale=unit, title="forecast"),
            y=alt.YDatum(0.0, axis=percent, scale=unit, title="happened"),
            x2=alt.datum(1.0),
            y2=alt.datum(1.0),
        )
    )
    bars = base.mark_rule(strokeWidth=2, opacity=0.55).encode(y=alt.Y("low:Q", scale=unit), y2="high:Q")
    dots = base.mark_circle(opacity=1).encode(
        y=happened, size=alt.Size("n:Q", legend=None, scale=alt.Scale(range=[40, 260]))
    )
    chart: alt.LayerChart = alt.LayerChart(layer=[diagonal, bars, dots]).properties(
        height=250, title=title, description=f"Calibration of {title}: forecast and observed frequency"
    )
    return chart


def score_trend(weeks: list[PerformanceWeek]) -> alt.Chart:
    """Mean RPS of all settled matches up to each week, one line per forecaster; lower is better."""
    rows = pd.DataFrame(
        [
            {"week": pd.Timestamp(week.week), "forecaster": FORECASTERS.get(name, name), "rps": value}
            for week in weeks
            for name, value in week.rps_so_far.items()
            if value is not None
        ]
    )
    present = [name for name in FORECASTERS.values() if name in set(rows["forecaster"])]
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_line(strokeWidth=2.4, point=alt.OverlayMarkDef(size=24))
        .encode(
            x=alt.X("week:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=8)),
            y=alt.Y("rps:Q", title="mean RPS so far (lower is better)", scale=alt.Scale(zero=False)),
            color=alt.Color(
                "forecaster:N",
                title=None,
                legend=alt.Legend(orient="top"),
                scale=alt.Scale(domain=present, range=[_COLOURS[name] for name in present]),
            ),
            tooltip=[
                alt.Tooltip("week:T", title="week of", format="%-d %b %Y"),
                "forecaster:N",
                alt.Tooltip("rps:Q", title="mean RPS so far", format=".4f"),
            ],
        )
        .properties(height=300, description="Mean RPS so far by week and forecaster; lower is better")
    )
    return chart


def rps_differences(against: dict[str, Comparison]) -> alt.LayerChart:
    """Paired RPS differences to the baselines with 95% intervals; left of zero Touchline is better."""
    rows = pd.DataFrame(
        [
            {"baseline": f"against {FORECASTERS.get(name, name)}", **comparison.model_dump()}
            for name, comparison in against.items()
            if comparison.mean is not None
        ]
    )
    base = alt.Chart(rows).encode(
        y=alt.Y("baseline:N", title=None, sort=None, axis=alt.Axis(labelLimit=200)),
        tooltip=[
            alt.Tooltip("mean:Q", title="difference", format="+.4f"),
            alt.Tooltip("low:Q", title="95% interval from", format="+.4f"),
            alt.Tooltip("high:Q", title="to", format="+.4f"),
            alt.Tooltip("n:Q", title="matches"),
        ],
    )
    zero = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(strokeDash=[4, 4], color="#9aa5ae").encode(x="x:Q")
    interval = base.mark_rule(strokeWidth=3, color=MODEL).encode(
        x=alt.X("low:Q", title="RPS difference (below zero: Touchline is better)", axis=alt.Axis(tickCount=8)),
        x2="high:Q",
    )
    mean = base.mark_circle(size=130, color=MODEL, opacity=1).encode(x="mean:Q")
    chart: alt.LayerChart = alt.LayerChart(
        layer=[zero, interval, mean],
        height=50 + 42 * len(rows),
        description="RPS difference to each baseline with its 95% interval; below zero Touchline is better",
    )
    return chart


def rating_history(history: list[Rating], home: str, away: str) -> alt.Chart:
    """Elo of both clubs before each of their matches."""
    rows = pd.DataFrame([rating.model_dump() for rating in history])
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_line(strokeWidth=2.4)
        .encode(
            x=alt.X("kick_off:T", title=None, axis=alt.Axis(format="%b %Y", tickCount=8)),
            y=alt.Y("elo:Q", title="Elo", scale=alt.Scale(zero=False), axis=alt.Axis(format="d")),
            color=alt.Color(
                "team:N",
                title=None,
                legend=alt.Legend(orient="top"),
                scale=alt.Scale(domain=[home, away], range=[HOME, AWAY]),
            ),
            tooltip=[
                alt.Tooltip("kick_off:T", title="before the match on", format="%-d %b %Y"),
                alt.Tooltip("team:N", title="club"),
                alt.Tooltip("elo:Q", format=".0f"),
            ],
        )
        .properties(height=260, description=f"Elo of {home} and {away} before each of their matches")
    )
    return chart


def drift_trend(weeks: list[DriftSummary]) -> alt.Chart:
    """Share of drifted columns by week."""
    rows = pd.DataFrame(
        [
            {
                "week": pd.Timestamp(summary.week),
                "share": summary.share or 0.0,
                "verdict": DRIFT_STATES.get(summary.state, summary.state),
                "matches": summary.matches,
            }
            for summary in weeks
        ]
    )
    mondays = sorted(rows["week"])
    step = -(-len(mondays) // _MAX_WEEK_LABELS)
    labels = [monday.isoformat() for monday in mondays[::step]]  # only weeks get a label, not the days in between
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_circle(size=110, opacity=1)
        .encode(
            x=alt.X("week:T", title="week of", axis=alt.Axis(format="%-d %b", values=labels)),
            y=alt.Y("share:Q", title="drifted columns", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            color=alt.Color(
                "verdict:N",
                title=None,
                legend=alt.Legend(orient="top"),
                scale=alt.Scale(domain=list(_STATE_COLOURS), range=list(_STATE_COLOURS.values())),
            ),
            tooltip=[
                alt.Tooltip("week:T", title="week of", format="%-d %b %Y"),
                "verdict:N",
                alt.Tooltip("share:Q", title="drifted columns", format=".0%"),
                "matches:Q",
            ],
        )
        .properties(height=260, description="Share of drifted columns by week")
    )
    return chart
