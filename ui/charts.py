"""Charts. Home, draw and away have the colours of style.css."""

from __future__ import annotations

import altair as alt
import pandas as pd

from ui.api_models import Comparison, CurvePoint, DriftSummary, PerformanceWeek, Rating

HOME, DRAW, AWAY = "#2469ad", "#7d8894", "#ec9a3c"  # the draw is darker here: a thin grey line must be seen
MODEL = "#0b6b4f"
FORECASTERS = {"model": "published", "elo": "plain Elo", "base": "base rate", "market": "bookmakers"}
_COLOURS = {"published": MODEL, "plain Elo": "#7d8894", "base rate": "#b9a37c", "bookmakers": "#a0529c"}
OUTCOMES = {"home": ("home win", HOME), "draw": ("draw", DRAW), "away": ("away win", AWAY)}
STATES = {"stable": "no drift", "drift": "drift", "too_few_matches": "too few matches"}
_LABELS = 8
_STATE_COLOURS = {"no drift": MODEL, "drift": "#c2410c", "too few matches": "#9aa5ae"}


def reliability(curve: list[CurvePoint], title: str, colour: str) -> alt.LayerChart:
    """Forecast against what happened for one outcome; on the diagonal the forecast is exact."""
    points = pd.DataFrame([point.model_dump() for point in curve])
    share, percent = alt.Scale(domain=[0, 1]), alt.Axis(format="%", tickCount=5, grid=True)
    base = alt.Chart(points).encode(
        x=alt.X("forecast:Q", title="forecast", scale=share, axis=percent),
        color=alt.value(colour),
        tooltip=[
            alt.Tooltip("n:Q", title="matches"),
            alt.Tooltip("forecast:Q", format=".0%"),
            alt.Tooltip("observed:Q", title="happened", format=".0%"),
            alt.Tooltip("low:Q", title="interval from", format=".0%"),
            alt.Tooltip("high:Q", title="to", format=".0%"),
        ],
    )
    happened = alt.Y("observed:Q", title="happened", scale=share, axis=percent)
    diagonal = (
        alt.Chart(points)
        .mark_rule(strokeDash=[4, 4], color="#9aa5ae")
        .encode(
            x=alt.XDatum(0.0, axis=percent, scale=share, title="forecast"),
            y=alt.YDatum(0.0, axis=percent, scale=share, title="happened"),
            x2=alt.datum(1.0),
            y2=alt.datum(1.0),
        )
    )
    bars = base.mark_rule(strokeWidth=2, opacity=0.55).encode(y=alt.Y("low:Q", scale=share), y2="high:Q")
    dots = base.mark_circle(opacity=1).encode(
        y=happened, size=alt.Size("n:Q", legend=None, scale=alt.Scale(range=[40, 260]))
    )
    chart: alt.LayerChart = alt.LayerChart(layer=[diagonal, bars, dots]).properties(height=250, title=title)
    return chart


def score_trend(weeks: list[PerformanceWeek]) -> alt.Chart:
    """Mean RPS of all settled matches up to each week, by forecaster; lower is better."""
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
            y=alt.Y("rps:Q", title="RPS so far (lower is better)", scale=alt.Scale(zero=False)),
            color=alt.Color(
                "forecaster:N",
                title=None,
                legend=alt.Legend(orient="top"),
                scale=alt.Scale(domain=present, range=[_COLOURS[name] for name in present]),
            ),
            tooltip=[
                alt.Tooltip("week:T", title="week of", format="%-d %b %Y"),
                "forecaster:N",
                alt.Tooltip("rps:Q", title="RPS so far", format=".4f"),
            ],
        )
        .properties(height=300)
    )
    return chart


def differences(against: dict[str, Comparison]) -> alt.LayerChart:
    """Paired RPS differences with their intervals; left of zero the model is better."""
    rows = pd.DataFrame(
        [
            {"reference": f"against {FORECASTERS.get(name, name)}", **one.model_dump()}
            for name, one in against.items()
            if one.mean is not None
        ]
    )
    base = alt.Chart(rows).encode(
        y=alt.Y("reference:N", title=None, sort=None, axis=alt.Axis(labelLimit=200)),
        tooltip=[
            alt.Tooltip("mean:Q", title="difference", format="+.4f"),
            alt.Tooltip("low:Q", title="from", format="+.4f"),
            alt.Tooltip("high:Q", title="to", format="+.4f"),
            alt.Tooltip("n:Q", title="matches"),
        ],
    )
    zero = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(strokeDash=[4, 4], color="#9aa5ae").encode(x="x:Q")
    interval = base.mark_rule(strokeWidth=3, color=MODEL).encode(
        x=alt.X(
            "low:Q",
            title="RPS difference",
            axis=alt.Axis(tickCount=8),
        ),
        x2="high:Q",
    )
    middle = base.mark_circle(size=130, color=MODEL, opacity=1).encode(x="mean:Q")
    chart: alt.LayerChart = alt.LayerChart(layer=[zero, interval, middle], height=50 + 42 * len(rows))
    return chart


def ratings(history: list[Rating], home: str, away: str) -> alt.Chart:
    """Elo of both clubs before each of their matches."""
    rows = pd.DataFrame([one.model_dump() for one in history])
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
                alt.Tooltip("kick_off:T", title="before the match of", format="%-d %b %Y"),
                alt.Tooltip("team:N", title="club"),
                alt.Tooltip("elo:Q", format=".0f"),
            ],
        )
        .properties(height=260)
    )
    return chart


def drift_trend(weeks: list[DriftSummary]) -> alt.Chart:
    """Share of drifted figures by week."""
    rows = pd.DataFrame(
        [
            {
                "week": pd.Timestamp(one.week),
                "share": one.share or 0.0,
                "verdict": STATES.get(one.state, one.state),
                "matches": one.matches,
            }
            for one in weeks
        ]
    )
    mondays = sorted(rows["week"])
    labelled = [one.isoformat() for one in mondays[:: -(-len(mondays) // _LABELS)]]  # no day in between is labelled
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_circle(size=110, opacity=1)
        .encode(
            x=alt.X("week:T", title="week of", axis=alt.Axis(format="%-d %b", values=labelled)),
            y=alt.Y("share:Q", title="figures that drifted", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            color=alt.Color(
                "verdict:N",
                title=None,
                legend=alt.Legend(orient="top"),
                scale=alt.Scale(domain=list(_STATE_COLOURS), range=list(_STATE_COLOURS.values())),
            ),
            tooltip=[
                alt.Tooltip("week:T", title="week of", format="%-d %b %Y"),
                "verdict:N",
                alt.Tooltip("share:Q", title="drifted", format=".0%"),
                "matches:Q",
            ],
        )
        .properties(height=260)
    )
    return chart
