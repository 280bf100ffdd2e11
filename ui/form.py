"""Form and earlier meetings as HTML."""

from __future__ import annotations

from collections import Counter
from datetime import tzinfo
from html import escape

from ui import formatting
from ui.api_models import Match
from ui.cards import match_link

SHOWN_MEETINGS = 10


def result_of(club: str, match: Match) -> str:
    """W, D or L from the club's view; the match was played."""
    outcome = match.score.outcome if match.score else "draw"
    if outcome == "draw":
        return "D"
    return "W" if (outcome == "home") == (match.home_team == club) else "L"


def _score(match: Match) -> str:
    return f"{match.score.home} – {match.score.away}" if match.score else ""


def form(club: str, recent: list[Match], where: tzinfo) -> str:
    """The club's last results, newest first: a letter each, and what they were."""
    rows = "".join(
        f'<tr><td><span class="tl-chip tl-chip-{result_of(club, m)}">{result_of(club, m)}</span></td>'
        f'<td class="tl-muted">{formatting.short_day(m.kick_off, where)}</td>'
        f'<td><a href="{escape(match_link(m))}" target="_self">{_side(m.home_team, club)} '
        f"<b>{_score(m)}</b> {_side(m.away_team, club)}</a></td></tr>"
        for m in recent
    )
    return f'<table class="tl-rows">{rows}</table>'


def _side(name: str, club: str) -> str:
    return f"<span>{escape(name)}</span>" if name == club else f'<span class="tl-muted">{escape(name)}</span>'


def meetings(home: str, away: str, met: list[Match], where: tzinfo) -> str:
    """All meetings counted from the home club's view, and the latest of them."""
    count = Counter(result_of(home, match) for match in met)
    total = (
        f"<p>{len(met)} in the data: <b>{escape(home)} {count['W']}</b> · draws {count['D']} · "
        f"<b>{escape(away)} {count['L']}</b></p>"
    )
    rows = "".join(
        f'<tr><td class="tl-muted">{formatting.short_day(m.kick_off, where)}</td>'
        f'<td class="tl-num">{escape(m.home_team)}</td>'
        f'<td class="tl-middle"><a href="{escape(match_link(m))}" target="_self"><b>{_score(m)}</b></a></td>'
        f"<td>{escape(m.away_team)}</td></tr>"
        for m in met[:SHOWN_MEETINGS]
    )
    return f'{total}<table class="tl-rows tl-meetings">{rows}</table>'
