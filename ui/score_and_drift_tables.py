"""HTML tables that fit a phone: scores of the forecasters, and the columns of a drift report."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ui.api_models import DriftColumn, Scores

COLUMNS = {
    "elo": "Elo difference, in units of 400",
    "pi": "Pi difference, home form v away form",
    "pi_reverse": "Pi difference, away form v home form",
    "log_home_goals": "Expected goals, home (log)",
    "log_away_goals": "Expected goals, away (log)",
    "log_home_on_target": "Expected shots on target, home (log)",
    "log_away_on_target": "Expected shots on target, away (log)",
    "log_home_shots": "Expected shots, home (log)",
    "log_away_shots": "Expected shots, away (log)",
    "log_home_market": "Home win v draw by past odds (log)",
    "log_away_market": "Away win v draw by past odds (log)",
    "home": "Probability of a home win",
    "draw": "Probability of a draw",
    "away": "Probability of an away win",
}
"""Labels of the columns of a drift report."""
KINDS = {"feature": "Model inputs", "prediction": "Forecasts"}


def column_label(column: str) -> str:
    """Return the label of a drift column, or its own name if this version of the viewer does not know it."""
    return COLUMNS.get(column, column)


def score_table(scores: Mapping[str, Scores]) -> str:
    """One row per forecaster with its mean scores."""
    head = (
        '<tr><th>Forecaster</th><th class="tl-num tl-wide">Matches</th>'
        '<th class="tl-num" title="Ranked probability score; 0 is perfect">RPS</th>'
        '<th class="tl-num" title="0 is perfect">Log loss</th>'
        '<th class="tl-num" title="Brier score; 0 is perfect">Brier</th>'
        '<th class="tl-num" title="How often the most likely outcome happened">Accuracy</th></tr>'
    )
    body = "".join(
        f'<tr><td>{escape(name)}</td><td class="tl-num tl-wide">{row.n:.0f}</td><td class="tl-num">{row.rps:.4f}</td>'
        f'<td class="tl-num">{row.log_loss:.4f}</td><td class="tl-num">{row.brier:.4f}</td>'
        f'<td class="tl-num">{row.accuracy:.1%}</td></tr>'
        for name, row in scores.items()
    )
    return f'<table class="tl-rows tl-figures">{head}{body}</table>'


def drift_table(columns: list[DriftColumn]) -> str:
    """One row per compared column, grouped into model inputs and forecasts."""
    head = (
        '<tr><th>Column</th><th class="tl-num" title="Mean of the reference">Reference</th>'
        '<th class="tl-num" title="Mean of the window">Window</th>'
        '<th class="tl-num" title="Probability of a difference at least this large by chance alone">p-value</th>'
        '<th class="tl-num tl-wide" title="Below this p-value the column counts as drifted">Threshold</th>'
        "<th>Verdict</th></tr>"
    )
    body = ""
    for kind in dict.fromkeys(column.kind for column in columns):
        body += f'<tr class="tl-group"><td colspan="6">{escape(KINDS.get(kind, kind))}</td></tr>'
        body += "".join(_drift_row(column) for column in columns if column.kind == kind)
    return f'<table class="tl-rows tl-figures">{head}{body}</table>'


def _drift_row(column: DriftColumn) -> str:
    verdict = "no data" if column.p_value is None else "drift" if column.drifted else "no drift"
    return (
        f'<tr class="{"tl-drifted" if column.drifted else ""}"><td title="{escape(column.column)}">'
        f'{escape(column_label(column.column))}</td><td class="tl-num">{_number(column.mean_reference, ".2f")}</td>'
        f'<td class="tl-num">{_number(column.mean_window, ".2f")}</td>'
        f'<td class="tl-num">{_number(column.p_value, ".2g")}</td>'
        f'<td class="tl-num tl-wide">{_number(column.threshold, ".2g")}</td><td>{verdict}</td></tr>'
    )


def _number(value: float | None, spec: str) -> str:
    return "–" if value is None else f"{value:{spec}}".replace("-", "−")
