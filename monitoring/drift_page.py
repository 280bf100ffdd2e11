"""The page of a drift report: Evidently's own, with what its numbers mean and how far to trust them at its top."""

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
    "stable": "Nothing differs from the reference by more than chance would.",
    "drift": "Read on, then record your judgement with the job <code>review_drift</code> in Dagster: no new model is "
    "promoted before.",
    "too_few_matches": "Until there are enough, no new model is promoted unless a person answers for it with the job "
    "<code>review_drift</code> in Dagster.",
}
_TABLE = '<table cellpadding="4" style="text-align:left;display:block;overflow-x:auto">'


_NARROW = "<style>.MuiGrid-root{min-width:0!important;max-width:100%}</style>"
"""Without it Evidently's own tables grow out of a window under 1,000 pixels, where nobody can scroll to their end."""


def with_preface(page: str, summary: dict[str, Any]) -> str:
    """Evidently's page with what the numbers mean, and how far to trust them, at its top."""
    head, body, rest = page.partition("<body>")
    return head + body + _NARROW + _preface(summary) + rest


def _preface(summary: dict[str, Any]) -> str:
    spoken = {"stable": "no drift", "drift": "drift", "too_few_matches": "too few matches"}[summary["state"]]
    lines = [f"<h1>Drift, week of {html.escape(summary['week'])}: {spoken}</h1>", f"<p>{_ADVICE[summary['state']]}</p>"]
    lines += _compared(summary)
    if summary["columns"]:
        names = ("column", "kind", "mean before", "mean now", "p-value", "drift below", "verdict")
        head = "".join(f"<th>{name}</th>" for name in names)
        lines.append(f"{_TABLE}<tr>{head}</tr>{''.join(map(_row, summary['columns']))}</table>")
        lines.append(
            "<p>Further down stands Evidently's own page with the distributions. It calls one drifted column a drift "
            "of the whole dataset, as is done here.</p>"
        )
    lines.append("<h2>How far to trust this</h2>")
    trust = summary["trust"]
    if trust["false_alarm_rate"] is None:
        lines.append(f"<p>Not measured: fewer than {MIN_SEASONS} past seasons with a whole reference are known.</p>")
    else:
        alarms = ", ".join(f"{season}: {share:.0%}" for season, share in trust["false_alarms"].items())
        power = "".join(f"<tr><td>{html.escape(k)}</td><td>{v:.0%}</td></tr>" for k, v in trust["power"].items())
        lines += [
            f"<p>False alarms: {trust['false_alarm_rate']:.1%} of {trust['windows']} windows of past seasons as they "
            f"were, each season judged by the others' thresholds (by season: {alarms}).</p>",
            f"{_TABLE}<tr><th>planted</th><th>windows in which it was caught</th></tr>{power}</table>",
        ]
    style = "font-family:sans-serif;max-width:60rem;margin:2rem auto;padding:1rem;background:#fff;color:#111"
    return f'<section style="{style}">{"".join(lines)}</section>'


def _row(one: dict[str, Any]) -> str:
    """A column's line of the table; what drifted stands out."""
    missing = one["missing"] >= 0.5
    figures = [one["mean_reference"], one["mean_window"], one["p_value"], one["threshold"]]
    cells = [
        html.escape(one["column"]),
        one["kind"],
        *("–" if value is None else f"{value:.2g}" for value in figures),
        f"missing in {one['missing']:.0%}" if missing else "drifted" if one["drifted"] else "no drift",
    ]
    style = ' style="font-weight:bold;color:#b91c1c"' if one["drifted"] else ""
    return f"<tr{style}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _compared(summary: dict[str, Any]) -> Iterator[str]:
    """What was compared with what, in sentences."""
    reference, matches = summary["reference"], summary["matches"]
    if summary["columns"]:
        yield (
            f"<p>Window: the {_named(matches, 'match', 'matches')} from {_day(summary['window']['from'])} to "
            f"{_day(summary['window']['to'])}, of {html.escape(', '.join(summary['competitions']))}. Reference, fixed "
            f"for the season: {_named(reference['matches'], 'match', 'matches')} of "
            f"{html.escape(', '.join(reference['seasons']))}.</p>"
            "<p>Method: two-sample Kolmogorov-Smirnov test per column; drifted where the p-value lies below the "
            f"column's threshold. Of the forecasts in the window {summary['as_published']} are as they were published "
            "by the version in production; the others, and those of the reference, it made afterwards from what was "
            "known before each match.</p>"
        )
    for name, one in summary["excluded_competitions"].items():
        yield (
            f"<p>{html.escape(name)} is left out: {_named(one['matches'], 'match', 'matches')} of the running season "
            f"and {one['reference']:,} of the seasons before; {summary['minimum']} of each are needed.</p>"
        )


def _named(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%-d %B %Y}"
