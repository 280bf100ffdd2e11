"""Matches and probabilities as HTML: every triple drawn home, draw, away, in the colours of style.css."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from html import escape
from itertools import groupby
from urllib.parse import urlencode

from ui import formatting
from ui.api_models import OUTCOMES, Forecast, Match, Probabilities

LEGEND = (
    '<div class="tl-legend"><span class="tl-key tl-key-home">home win</span>'
    '<span class="tl-key tl-key-draw">draw</span><span class="tl-key tl-key-away">away win</span></div>'
)

MEANING = """
**One bar, three chances**, always in this order: home win, draw, away win. They add up to 100 %.

A 60 % favourite should fail to win **four times in ten**: one surprise says nothing, many together do. The *Model* page
shows whether outcomes given 60 % really happen 60 % of the time.

**✓ right** means that the likeliest outcome came in; the figure beside it is the chance that the forecast gave to what
happened. A draw is hardly ever the likeliest of the three, for bookmakers as well.

Every forecast was published **before kick-off** and is not changed afterwards.
"""


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
    hint = f"The forecast gave what happened {given} %" + (
        "." if match.favourite_won else ", and favoured something else."
    )
    return f'<span title="{hint}"><b>{"✓ right" if match.favourite_won else "✗ wrong"}</b> · {given} %</span>'


def match_row(match: Match, where: tzinfo) -> str:
    """One match as a link to its page."""
    winner = match.score.outcome if match.score else ""
    score = f"{match.score.home} – {match.score.away}" if match.score else "v"
    outlook = (
        bar(match.forecast.probabilities, winner or None)
        if match.forecast
        else f'<span class="tl-none">{"not forecast yet" if match.score is None else "no forecast published"}</span>'
    )
    return (
        f'<a class="tl-match" href="{escape(match_link(match))}" target="_self">'
        f'<span class="tl-time" title="{formatting.utc_text(match.kick_off)}">'
        f"{formatting.clock(match.kick_off, where)}</span>"
        f'<span class="tl-club tl-club-home{" tl-won" if winner == "home" else ""}">{escape(match.home_team)}</span>'
        f'<span class="tl-score{"" if match.score else " tl-score-none"}">{score}</span>'
        f'<span class="tl-club{" tl-won" if winner == "away" else ""}">{escape(match.away_team)}</span>'
        f'<span class="tl-outlook">{outlook}</span><span class="tl-verdict">{verdict(match)}</span></a>'
    )


def list_kind(matches: list[Match]) -> str:
    """A day without verdicts needs no column for them."""
    return "" if any(verdict(match) for match in matches) else " tl-fixtures"


def match_list(matches: Iterable[Match], where: tzinfo, names: Mapping[str, str]) -> str:
    """Matches in the order given, under a heading for each day and, where there are several, each competition."""
    every = list(matches)
    several = len({match.competition for match in every}) > 1
    parts = []
    for day, of_day in groupby(every, key=lambda match: formatting.day(match.kick_off, where)):
        parts.append(f'<div class="tl-day">{day}</div>')
        # a stable sort: within a competition the order stays
        for slug, group in groupby(sorted(of_day, key=lambda match: match.competition), key=lambda m: m.competition):
            found = list(group)
            heading = f'<div class="tl-league">{escape(names.get(slug, slug))}</div>' if several else ""
            rows = "".join(match_row(match, where) for match in found)
            parts.append(f'{heading}<div class="tl-list{list_kind(found)}">{rows}</div>')
    return "".join(parts)


def headline_card(match: Match, where: tzinfo) -> str:
    """The head of the match page: both clubs, and the score or the time between them."""
    local = f"{formatting.clock(match.kick_off, where)} {formatting.timezone_name(where)}"
    middle = f"{match.score.home} – {match.score.away}" if match.score else formatting.clock(match.kick_off, where)
    below = "full time" if match.score else {"scheduled": "kick-off"}.get(match.status, match.status)
    matchday = f" · matchday {match.matchday}" if match.matchday else ""
    elsewhere = (
        ""
        if local.startswith(formatting.utc_text(match.kick_off)[11:16])
        else f" · {formatting.utc_text(match.kick_off)}"
    )
    when = f"{formatting.day(match.kick_off, where)} · {local}{elsewhere}{matchday}"
    return (
        f'<div class="tl-when">{escape(when)}</div>'
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


def verbalise(match: Match) -> str:
    """The forecast as a sentence, and whether it came true."""
    if match.forecast is None:
        return ""
    chances = percents(match.forecast.probabilities)
    names = {"home": f"{match.home_team} to win", "draw": "a draw", "away": f"{match.away_team} to win"}
    likeliest = match.forecast.predicted_outcome
    said = f"Likeliest: **{names[likeliest]}**, {chances[OUTCOMES.index(likeliest)]} %."
    if match.score is None:
        odds = " / ".join(f"{1 / p:.2f}" for p in match.forecast.probabilities.triple if p > 0)
        return f"{said} Fair odds (home / draw / away): {odds}."
    given = chances[OUTCOMES.index(match.score.outcome)]
    if match.favourite_won:
        return f"{said} **✓ That is what happened.**"
    return f"{said} **✗ It came otherwise**; what happened had been given {given} %."


def provenance(forecast: Forecast, where: tzinfo) -> str:
    """Which model, what it had learnt from, and what it knew."""
    parts = [
        f"{forecast.model.name} version {forecast.model.version}",
        f"trained on matches to {formatting.short_day(forecast.model.trained_through, where)}",
        f"knows results to {formatting.short_day(forecast.features_as_of, where)}",
    ]
    if forecast.published_at:
        parts.append(f"published {formatting.short_day(forecast.published_at, where)}")
    return " · ".join(parts)
