"""Figures side by side as HTML tables that fit a phone: scores of forecasters, columns of a drift report."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ui.api_models import DriftColumn, Scores

COLUMNS = {
    "elo": "Elo: difference, in 400s",
    "pi": "Pi: home form at home against away form away",
    "pi_reverse": "Pi: the same with the grounds swapped",
    "log_home_goals": "Goals expected of the home side (log)",
    "log_away_goals": "Goals expected of the away side (log)",
    "log_home_on_target": "Shots on target expected of the home side (log)",
    "log_away_on_target": "Shots on target expected of the away side (log)",
    "log_home_shots": "Shots expected of the home side (log)",
    "log_away_shots": "Shots expected of the away side (log)",
    "home": "Chance of a home win",
    "draw": "Chance of a draw",
    "away": "Chance of an away win",
}
"""What the columns of a drift report are."""
KINDS = {"feature": "What the model is given", "prediction": "What it forecasts"}


def column_name(column: str) -> str:
    """A column in words; its own name where it is of a later version."""
    return COLUMNS.get(column, column)


def scores(rows: Mapping[str, Scores]) -> str:
    """Every score of every forecaster."""
    head = (
        '<tr><th></th><th class="tl-num tl-wide">Matches</th>'
        '<th class="tl-num" title="Ranked probability score; 0 is perfect">RPS</th>'
        '<th class="tl-num" title="0 is perfect">Log loss</th>'
        '<th class="tl-num" title="0 is perfect">Brier</th>'
        '<th class="tl-num" title="How often the likeliest outcome happened">Favourite came in</th></tr>'
    )
    body = "".join(
        f'<tr><td>{escape(name)}</td><td class="tl-num tl-wide">{one.n:.0f}</td><td class="tl-num">{one.rps:.4f}</td>'
        f'<td class="tl-num">{one.log_loss:.4f}</td><td class="tl-num">{one.brier:.4f}</td>'
        f'<td class="tl-num">{100 * one.accuracy:.1f} %</td></tr>'
        for name, one in rows.items()
    )
    return f'<table class="tl-rows tl-figures">{head}{body}</table>'


def drift(columns: list[DriftColumn]) -> str:
    """What was compared, column by column, under what it is to the model."""
    head = (
        '<tr><th></th><th class="tl-num" title="Mean of the reference">Before</th>'
        '<th class="tl-num" title="Mean of the window">Now</th>'
        '<th class="tl-num" title="How often chance alone makes a difference like this one">p-value</th>'
        '<th class="tl-num tl-wide" title="The p-value below which this column counts as drifted">Drift below</th>'
        "<th>Verdict</th></tr>"
    )
    body = ""
    for kind in dict.fromkeys(column.kind for column in columns):
        body += f'<tr class="tl-group"><td colspan="6">{escape(KINDS.get(kind, kind))}</td></tr>'
        body += "".join(_column(one) for one in columns if one.kind == kind)
    return f'<table class="tl-rows tl-figures">{head}{body}</table>'


def _column(one: DriftColumn) -> str:
    means = "".join(f'<td class="tl-num">{_figure(mean, ".2f")}</td>' for mean in (one.mean_reference, one.mean_window))
    verdict = "missing" if one.p_value is None else "drifted" if one.drifted else "no drift"
    return (
        f'<tr class="{"tl-drifted" if one.drifted else ""}"><td title="{escape(one.column)}">'
        f'{escape(column_name(one.column))}</td>{means}<td class="tl-num">{_figure(one.p_value, ".2g")}</td>'
        f'<td class="tl-num tl-wide">{_figure(one.threshold, ".2g")}</td><td>{verdict}</td></tr>'
    )


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}".replace("-", "−")
