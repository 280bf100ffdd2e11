"""The simulated final table as HTML."""

from __future__ import annotations

from html import escape

from ui.api_models import Place, SeasonTable, TableRow


def format_chance(p: float) -> str:
    """A percentage that never says 0 or 100 unless no simulation says otherwise."""
    if p in (0, 1):
        return "–" if p == 0 else "100 %"
    return "<1 %" if p < 0.01 else ">99 %" if p > 0.99 else f"{p:.0%}".replace("%", " %")


def _strip(row: TableRow, edges: set[int]) -> str:
    """One square a place, its strength the chance of finishing there relative to the likeliest."""
    most = max(row.positions, default=1) or 1
    squares = "".join(
        f'<i class="tl-{"edge" if place in edges else "spot"}" title="place {place}: {format_chance(p)}" '
        f'style="--p:{p / most:.3f}"></i>'
        for place, p in enumerate(row.positions, start=1)
    )
    likeliest = row.positions.index(most) + 1 if most in row.positions else 0
    return f'<div class="tl-strip" role="img" aria-label="likeliest place {likeliest}">{squares}</div>'


def _wide(kind: str) -> str:
    """Play-offs are left out where there is little room."""
    return " tl-wide" if kind == "play_off" else ""


def _meter(p: float, kind: str) -> str:
    faint = " tl-faint" if p < 0.01 else ""
    return (
        f'<td class="tl-num tl-meter tl-meter-{kind}{_wide(kind)}{faint}" style="--p:{p:.3f}">{format_chance(p)}</td>'
    )


def _row(place: int, row: TableRow, forecast: SeasonTable, edges: set[int]) -> str:
    meters = "".join(_meter(p, one.kind) for p, one in zip(row.chances, forecast.places, strict=True))
    return (
        f'<tr><td class="tl-num tl-muted">{place}</td><td class="tl-team">{escape(row.team)}'
        f'<div class="tl-small-strip">{_strip(row, edges)}</div></td>'
        f'<td class="tl-num tl-wide">{row.played}</td><td class="tl-num tl-wide">{row.points:.0f}</td>'
        f'<td class="tl-num"><b>{row.expected_points:.1f}</b></td>{meters}<td>{_strip(row, edges)}</td></tr>'
    )


def _heading(place: Place, clubs: int) -> str:
    span = f"place {place.first}" if place.first == place.last else f"places {place.first} to {place.last} of {clubs}"
    return f'<th class="tl-num{_wide(place.kind)}" title="{span}">{escape(place.name)}</th>'


def season_table(forecast: SeasonTable) -> str:
    """Clubs by the points that they are expected to end with, and what the places of this competition mean."""
    ordered = sorted(forecast.items, key=lambda row: -row.expected_points)
    edges = {one.last if one.first == 1 else one.first - 1 for one in forecast.places if one.kind != "title"}
    head = (
        '<tr><th></th><th>Club</th><th class="tl-num tl-wide" title="matches played">Played</th>'
        '<th class="tl-num tl-wide" title="points so far">Points</th>'
        '<th class="tl-num" title="points at the end, mean of the simulations">Expected</th>'
        f"{''.join(_heading(one, len(ordered)) for one in forecast.places)}"
        f"<th>Final place, 1 to {len(ordered)}</th></tr>"
    )
    rows = "".join(_row(place, row, forecast, edges) for place, row in enumerate(ordered, start=1))
    return f'<div class="tl-scroll"><table class="tl-rows tl-standings">{head}{rows}</table></div>'
