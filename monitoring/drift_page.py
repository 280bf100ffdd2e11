"""The page of a drift report: Evidently's page, preceded by a summary and the reliability of the test."""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import datetime
from typing import Any

MIN_SEASONS = 3
"""Undrifted seasons needed to calibrate thresholds. With fewer, `monitoring.drift.MAX_DRIFT_P_VALUE` is divided by the
number of columns (Bonferroni)."""

EMPTY = "<!doctype html><html><body></body></html>"
_ADVICE = {
    "stable": "No column differs from the reference by more than chance.",
    "drift": "Read the report, then record a review with the job <code>review_drift</code> in Dagster. "
    "Until then no new model is promoted.",
    "too_few_matches": "Until there are enough matches, a new model is promoted only after a review with the job "
    "<code>review_drift</code> in Dagster.",
}
_TABLE = '<table cellpadding="4" style="text-align:left;display:block;overflow-x:auto">'


_NARROW = "<style>.MuiGrid-root{min-width:0!important;max-width:100%}</style>"
"""Without this style, Evidently's tables overflow windows narrower than 1,000 pixels and cannot be scrolled."""


def with_preface(page: str, summary: dict[str, Any]) -> str:
    """Insert the summary of a report at the top of Evidently's page.

    Parameters
    ----------
    page : HTML document with a `<body>` tag.
    summary : `monitoring.drift.DriftReport.summary`.
    """
    head, body, rest = page.partition("<body>")
    return head + body + _NARROW + _preface(summary) + rest


def _preface(summary: dict[str, Any]) -> str:
    title = {"stable": "no drift", "drift": "drift", "too_few_matches": "too few matches"}[summary["state"]]
    lines = [f"<h1>Drift, week of {html.escape(summary['week'])}: {title}</h1>", f"<p>{_ADVICE[summary['state']]}</p>"]
    lines += _compared(summary)
    if summary["columns"]:
        names = ("column", "kind", "mean before", "mean now", "p-value", "threshold", "result")
        head = "".join(f"<th>{name}</th>" for name in names)
        lines.append(f"{_TABLE}<tr>{head}</tr>{''.join(map(_row, summary['columns']))}</table>")
        lines.append(
            "<p>Evidently's page with the distributions follows below. There, too, one drifted column counts as drift "
            "of the whole dataset.</p>"
        )
    lines.append("<h2>Reliability of this test</h2>")
    calibration = summary["trust"]
    if calibration["false_alarm_rate"] is None:
        lines.append(f"<p>Not measured: there are fewer than {MIN_SEASONS} past seasons with a complete reference.</p>")
    else:
        alarms = ", ".join(
            f"{html.escape(season)}: {share:.0%}" for season, share in calibration["false_alarms"].items()
        )
        power = "".join(f"<tr><td>{html.escape(k)}</td><td>{v:.0%}</td></tr>" for k, v in calibration["power"].items())
        lines += [
            f"<p>False alarms: {calibration['false_alarm_rate']:.1%} of {calibration['windows']} windows of past "
            f"seasons, each tested with thresholds from the other seasons (by season: {alarms}).</p>",
            f"{_TABLE}<tr><th>injected fault</th><th>detected in</th></tr>{power}</table>",
        ]
    style = "font-family:sans-serif;max-width:60rem;margin:2rem auto;padding:1rem;background:#fff;color:#111"
    return f'<section style="{style}">{"".join(lines)}</section>'


def _row(column: dict[str, Any]) -> str:
    """Format the table row of a column; drifted columns are highlighted."""
    missing = column["missing"] >= 0.5
    figures = [column["mean_reference"], column["mean_window"], column["p_value"], column["threshold"]]
    cells = [
        html.escape(column["column"]),
        html.escape(column["kind"]),
        *("–" if value is None else f"{value:.2g}" for value in figures),
        f"missing in {column['missing']:.0%}" if missing else "drifted" if column["drifted"] else "no drift",
    ]
    style = ' style="font-weight:bold;color:#b91c1c"' if column["drifted"] else ""
    return f"<tr{style}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _compared(summary: dict[str, Any]) -> Iterator[str]:
    """Describe window, reference and method in sentences."""
    reference, matches = summary["reference"], summary["matches"]
    if summary["columns"]:
        yield (
            f"<p>Window: {_counted(matches)} from {_day(summary['window']['from'])} to "
            f"{_day(summary['window']['to'])}, of {html.escape(', '.join(summary['competitions']))}. Reference, fixed "
            f"for the season: {_counted(reference['matches'])} of "
            f"{html.escape(', '.join(reference['seasons']))}.</p>"
            "<p>Method: two-sample Kolmogorov-Smirnov test per column. A column has drifted if its p-value is below "
            f"its threshold. Of the forecasts in the window, {summary['as_published']} were published by the version "
            "in production. It computed the others, and those of the reference, afterwards, from what was known before "
            "each match.</p>"
        )
    for name, counts in summary["excluded_competitions"].items():
        yield (
            f"<p>{html.escape(name)} is excluded: it has {_counted(counts['matches'])} in the current season and "
            f"{counts['reference']:,} in the seasons before, and {summary['minimum']} of each are required.</p>"
        )


def _counted(matches: int) -> str:
    return f"{matches:,} {'match' if matches == 1 else 'matches'}"


def _day(timestamp: str) -> str:
    return f"{datetime.fromisoformat(timestamp):%-d %B %Y}"
