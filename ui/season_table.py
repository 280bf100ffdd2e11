"""HTML of the simulated final table of a season."""

from __future__ import annotations

from html import escape

from ui.api_models import SeasonTable, TableRow, Zone
from ui.formatting import percentage


def season_table(forecast: SeasonTable) -> str:
    """One row per club in the order of the API, with a column for each zone of this competition's table."""
    rows = forecast.items
    edges = {zone.last if zone.first == 1 else zone.first - 1 for zone in forecast.places if zone.kind != "title"}
    head = (
        '<tr><th title="place in the simulated table">#</th><th>Club</th>'
        '<th class="tl-num tl-wide" title="matches played">Played</th>'
        '<th class="tl-num tl-wide" title="points so far">Points</th>'
        '<th class="tl-num" title="final points, mean of the simulations">Expected</th>'
        f"{''.join(_heading(zone, len(rows)) for zone in forecast.places)}"
        f"<th>Final place, 1 to {len(rows)}</th></tr>"
    )
    body = "".join(_row(rank, row, forecast.places, edges) for rank, row in enumerate(rows, start=1))
    return f'<div class="tl-scroll"><table class="tl-rows tl-season-table">{head}{body}</table></div>'


def _row(rank: int, row: TableRow, zones: list[Zone], edges: set[int]) -> str:
    meters = "".join(_meter(p, zone.kind) for p, zone in zip(row.chances, zones, strict=True))
    return (
        f'<tr><td class="tl-num tl-muted">{rank}</td><td class="tl-team">{escape(row.team)}'
        f'<div class="tl-small-strip">{_strip(row, edges)}</div></td>'
        f'<td class="tl-num tl-wide">{row.played}</td><td class="tl-num tl-wide">{row.points:.0f}</td>'
        f'<td class="tl-num"><b>{row.expected_points:.1f}</b></td>{meters}<td>{_strip(row, edges)}</td></tr>'
    )


def _heading(zone: Zone, n_clubs: int) -> str:
    places = f"place {zone.first}" if zone.first == zone.last else f"places {zone.first} to {zone.last} of {n_clubs}"
    return f'<th class="tl-num{_wide_only(zone.kind)}" title="{places}">{escape(zone.name)}</th>'


def _meter(p: float, kind: str) -> str:
    """Draw the probability of finishing in a zone."""
    faint = " tl-faint" if p < 0.01 else ""
    classes = f"tl-num tl-meter tl-meter-{kind}{_wide_only(kind)}{faint}"
    return f'<td class="{classes}" style="--p:{p:.3f}">{percentage(p)}</td>'


def _strip(row: TableRow, edges: set[int]) -> str:
    """Draw one square per place, coloured by its probability relative to the most likely place."""
    highest = max(row.positions, default=1) or 1
    squares = "".join(
        f'<i class="tl-{"edge" if place in edges else "spot"}" title="place {place}: {percentage(p)}" '
        f'style="--p:{p / highest:.3f}"></i>'
        for place, p in enumerate(row.positions, start=1)
    )
    likeliest = row.positions.index(highest) + 1 if highest in row.positions else 0
    return f'<div class="tl-strip" role="img" aria-label="most likely place: {likeliest}">{squares}</div>'


def _wide_only(kind: str) -> str:
    """Class that hides play-off columns on narrow screens."""
    return " tl-wide" if kind == "play_off" else ""
