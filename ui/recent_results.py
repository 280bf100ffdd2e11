"""HTML tables of a club's recent results and of the earlier meetings of two clubs."""

from __future__ import annotations

from collections import Counter
from datetime import tzinfo
from html import escape

from ui import formatting
from ui.api_models import Match
from ui.cards import match_url

MAX_MEETINGS = 10


def result_letter(club: str, match: Match) -> str:
    """Return W, D or L for a played match, as the club sees it."""
    outcome = match.score.outcome if match.score else "draw"
    if outcome == "draw":
        return "D"
    return "W" if (outcome == "home") == (match.home_team == club) else "L"


def results_table(club: str, results: list[Match], timezone: tzinfo) -> str:
    """List the club's results in the given order, each with W, D or L."""
    rows = "".join(
        f'<tr><td><span class="tl-chip tl-chip-{result_letter(club, match)}">{result_letter(club, match)}</span></td>'
        f'<td class="tl-muted">{formatting.short_date(match.kick_off, timezone)}</td>'
        f'<td><a href="{escape(match_url(match))}" target="_self">{_club(match.home_team, club)} '
        f"<b>{_score(match)}</b> {_club(match.away_team, club)}</a></td></tr>"
        for match in results
    )
    return f'<table class="tl-rows">{rows}</table>'


def meetings_table(home: str, away: str, meetings: list[Match], timezone: tzinfo) -> str:
    """Count all meetings by outcome and list the latest ones."""
    count = Counter(result_letter(home, match) for match in meetings)
    latest = f". The latest {MAX_MEETINGS}:" if len(meetings) > MAX_MEETINGS else ""
    summary = (
        f"<p>{len(meetings)} in the data: <b>{escape(home)}</b> won {count['W']}, <b>{escape(away)}</b> won "
        f"{count['L']}, {count['D']} drawn{latest}</p>"
    )
    rows = "".join(
        f'<tr><td class="tl-muted">{formatting.short_date(match.kick_off, timezone)}</td>'
        f'<td class="tl-num">{escape(match.home_team)}</td>'
        f'<td class="tl-middle"><a href="{escape(match_url(match))}" target="_self"><b>{_score(match)}</b></a></td>'
        f"<td>{escape(match.away_team)}</td></tr>"
        for match in meetings[:MAX_MEETINGS]
    )
    return f'{summary}<table class="tl-rows tl-meetings">{rows}</table>'


def _score(match: Match) -> str:
    return f"{match.score.home} – {match.score.away}" if match.score else ""


def _club(name: str, club: str) -> str:
    return f"<span>{escape(name)}</span>" if name == club else f'<span class="tl-muted">{escape(name)}</span>'
