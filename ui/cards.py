"""Matches and probabilities as HTML: every triple drawn home, draw, away, in the colours of style.css."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from html import escape
from itertools import groupby
from urllib.parse import urlencode

from ui import times
from ui.answers import OUTCOMES, Match, Probabilities

LEGEND = (
    '<div class="tl-legend"><span class="tl-key tl-key-home">home win</span>'
    '<span class="tl-key tl-key-draw">draw</span><span class="tl-key tl-key-away">away win</span></div>'
)


def percents(chances: Probabilities) -> tuple[int, int, int]:
    """Whole percents that add up to 100: the largest remainders are rounded up."""
    exact = [100 * p for p in chances.triple]
    whole = [int(p) for p in exact]
    by_remainder = sorted(range(3), key=lambda i: whole[i] - exact[i])
    for i in by_remainder[: max(0, round(sum(exact)) - sum(whole))]:
        whole[i] += 1
    return whole[0], whole[1], whole[2]


def bar(chances: Probabilities, happened: str | None = None) -> str:
    """The triple as one bar; once the match is over, only what happened keeps its full colour."""
    home, draw, away = percents(chances)
    text = f"home win {home} %, draw {draw} %, away win {away} %"
    segments = "".join(
        f'<span class="tl-{outcome}{" tl-happened" if outcome == happened else ""}" style="flex-grow:{p:.4f}">{whole}'
        "</span>"
        for outcome, p, whole in zip(OUTCOMES, chances.triple, (home, draw, away), strict=True)
    )
    settled = " tl-settled" if happened else ""
    return f'<div class="tl-bar{settled}" role="img" aria-label="{text}" title="{text}">{segments}</div>'


def match_link(match: Match) -> str:
    """Address of the match page, relative to any page of the viewer."""
    return "match?" + urlencode({"match_id": match.match_id})


def verdict(match: Match) -> str:
    """Whether the favourite of the forecast came in, and the chance that it gave to what happened."""
    if match.status == "postponed":
        return '<span title="No new date yet; the forecast is made again when there is one.">postponed</span>'
    if match.score is None or match.forecast is None:
        return ""
    given = percents(match.forecast.probabilities)[OUTCOMES.index(match.score.outcome)]
    right = match.forecast.predicted_outcome == match.score.outcome
    hint = f"The forecast gave what happened {given} %" + ("." if right else ", and favoured something else.")
    return f'<span title="{hint}"><b>{"✓ right" if right else "✗ wrong"}</b> · {given} %</span>'


def match_row(match: Match, where: tzinfo) -> str:
    """One match as a link to its page."""
    winner = match.score.outcome if match.score else ""
    score = f"{match.score.home} – {match.score.away}" if match.score else "v"
    outlook = (
        bar(match.forecast.probabilities, winner or None)
        if match.forecast
        else '<span class="tl-none">no forecast published</span>'
    )
    return (
        f'<a class="tl-match" href="{escape(match_link(match))}" target="_self">'
        f'<span class="tl-time" title="{times.in_utc(match.kick_off)}">{times.clock(match.kick_off, where)}</span>'
        f'<span class="tl-club tl-club-home{" tl-won" if winner == "home" else ""}">{escape(match.home_team)}</span>'
        f'<span class="tl-score{"" if match.score else " tl-score-none"}">{score}</span>'
        f'<span class="tl-club{" tl-won" if winner == "away" else ""}">{escape(match.away_team)}</span>'
        f'<span class="tl-outlook">{outlook}</span><span class="tl-verdict">{verdict(match)}</span></a>'
    )


def match_list(matches: Iterable[Match], where: tzinfo) -> str:
    """Matches in the order given, under a heading for each day."""
    days = groupby(matches, key=lambda match: times.day(match.kick_off, where))
    return "".join(
        f'<div class="tl-day">{day}</div><div class="tl-list">{"".join(match_row(m, where) for m in of_day)}</div>'
        for day, of_day in days
    )


def hero(match: Match, where: tzinfo) -> str:
    """The head of the match page: both clubs, and the score or the time between them."""
    middle = f"{match.score.home} – {match.score.away}" if match.score else times.clock(match.kick_off, where)
    below = "full time" if match.score else match.status
    return (
        f'<div class="tl-hero"><div class="tl-hero-club">{escape(match.home_team)}<small>home</small></div>'
        f'<div class="tl-hero-mid">{middle}<small>{escape(below)}</small></div>'
        f'<div class="tl-hero-club">{escape(match.away_team)}<small>away</small></div></div>'
    )


def big_bar(chances: Probabilities, home_team: str, away_team: str, happened: str | None = None) -> str:
    """The triple in large, with what each end means written under it."""
    labels = (f"{escape(home_team)} win", "draw", f"{escape(away_team)} win")
    ends = "".join(
        f'<span style="flex-grow:{p:.4f}">{label}</span>' for label, p in zip(labels, chances.triple, strict=True)
    )
    return f'<div class="tl-big">{bar(chances, happened)}</div><div class="tl-ends">{ends}</div>'
