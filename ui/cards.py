"""HTML of matches and probabilities. Probabilities are always drawn home, draw, away in the colours of style.css."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from html import escape
from itertools import groupby
from urllib.parse import urlencode

from ui import formatting
from ui.api_models import OUTCOMES, Forecast, Match, Probabilities
from ui.markdown_text import as_text

LEGEND = (
    '<div class="tl-legend"><span class="tl-key tl-key-home">home win</span>'
    '<span class="tl-key tl-key-draw">draw</span><span class="tl-key tl-key-away">away win</span></div>'
)

HOW_TO_READ = """
**Each bar shows three probabilities**, always in this order: home win, draw, away win. They add up to 100%.

A 60% favourite should fail to win **four times in ten**, so a single surprise proves nothing. The *Model* page shows
whether outcomes with a forecast of 60% really happen 60% of the time.

**✓ right** means that the favourite won, that is, the most likely outcome happened. The number beside it is the
probability that the forecast gave to the actual result. A draw is hardly ever the most likely outcome, either for this
model or for bookmakers.

Every forecast was published **before kick-off** and is never changed afterwards.
"""


def whole_percents(probabilities: Probabilities) -> tuple[int, int, int]:
    """Round to whole percents that add up to 100: the largest remainders are rounded up."""
    exact = [100 * p for p in probabilities.triple]
    whole = [int(p) for p in exact]
    by_remainder = sorted(range(3), key=lambda i: whole[i] - exact[i])
    for i in by_remainder[: max(0, round(sum(exact)) - sum(whole))]:
        whole[i] += 1
    return whole[0], whole[1], whole[2]


def probability_bar(probabilities: Probabilities, outcome: str | None = None) -> str:
    """Draw the three probabilities as one bar. After the match only the actual outcome keeps its full colour."""
    home, draw, away = whole_percents(probabilities)
    text = f"home win {home}%, draw {draw}%, away win {away}%"
    segments = "".join(
        f'<span class="tl-{name}{" tl-actual" if name == outcome else ""}" style="flex-grow:{p:.4f}">{percent}</span>'
        for name, p, percent in zip(OUTCOMES, probabilities.triple, (home, draw, away), strict=True)
    )
    settled = " tl-settled" if outcome else ""
    return f'<div class="tl-bar{settled}" role="img" aria-label="{text}" title="{text}">{segments}</div>'


def labelled_bar(probabilities: Probabilities, home_team: str, away_team: str, outcome: str | None = None) -> str:
    """Draw a large probability bar with a label under each segment."""
    names = (f"{escape(home_team)} win", "draw", f"{escape(away_team)} win")
    labels = "".join(
        f'<span style="flex-grow:{p:.4f}">{name}</span>' for name, p in zip(names, probabilities.triple, strict=True)
    )
    return f'<div class="tl-big">{probability_bar(probabilities, outcome)}</div><div class="tl-labels">{labels}</div>'


def match_url(match: Match) -> str:
    """Address of the match page, relative to any page of the viewer."""
    return "match?" + urlencode({"match_id": match.match_id})


def verdict(match: Match) -> str:
    """Say whether the favourite won, with the probability that the forecast gave to the actual result."""
    if match.status == "postponed":
        return '<span title="No new date yet. The match is forecast again when it has one.">postponed</span>'
    if match.score is None or match.forecast is None:
        return ""
    percent = whole_percents(match.forecast.probabilities)[OUTCOMES.index(match.score.outcome)]
    label = "✓ right" if match.favourite_won else "✗ wrong"
    favourite = "The favourite won" if match.favourite_won else "The favourite did not win"
    hint = f"{favourite}. The forecast gave the actual result {percent}%."
    return f'<span title="{hint}"><b>{label}</b> · {percent}%</span>'


def match_row(match: Match, timezone: tzinfo) -> str:
    """Draw one match as a link to its page."""
    outcome = match.score.outcome if match.score else None
    score = f"{match.score.home} – {match.score.away}" if match.score else "v"
    forecast = (
        probability_bar(match.forecast.probabilities, outcome)
        if match.forecast
        else f'<span class="tl-none">{"no forecast" if match.score else "no forecast yet"}</span>'
    )
    hint, time = formatting.utc_date_and_time(match.kick_off), formatting.time_of_day(match.kick_off, timezone)
    if not match.has_time:
        hint, time = "The time of the kick-off is unknown", ""
    return (
        f'<a class="tl-match" href="{escape(match_url(match))}" target="_self">'
        f'<span class="tl-time" title="{hint}">{time}</span>'
        f'<span class="tl-club tl-club-home{" tl-won" if outcome == "home" else ""}">{escape(match.home_team)}</span>'
        f'<span class="tl-score{"" if match.score else " tl-score-none"}">{score}</span>'
        f'<span class="tl-club{" tl-won" if outcome == "away" else ""}">{escape(match.away_team)}</span>'
        f'<span class="tl-forecast">{forecast}</span><span class="tl-verdict">{verdict(match)}</span></a>'
    )


def match_list(matches: Iterable[Match], timezone: tzinfo, names: Mapping[str, str]) -> str:
    """Draw matches in the given order with a heading per day and, if there are several, per competition."""
    all_matches = list(matches)
    several = len({match.competition for match in all_matches}) > 1
    parts = []
    for day, day_matches in groupby(all_matches, key=lambda match: formatting.long_date(match.kick_off, timezone)):
        parts.append(f'<div class="tl-day">{day}</div>')
        # the sort is stable: within a competition the order does not change
        by_competition = sorted(day_matches, key=lambda match: match.competition)
        for slug, group in groupby(by_competition, key=lambda match: match.competition):
            heading = f'<div class="tl-league">{escape(names.get(slug, slug))}</div>' if several else ""
            parts.append(heading + _rows(list(group), timezone))
    return "".join(parts)


def _rows(matches: list[Match], timezone: tzinfo) -> str:
    """Omit the verdict column if no row has a verdict."""
    kind = "" if any(verdict(match) for match in matches) else " tl-fixtures"
    return f'<div class="tl-list{kind}">{"".join(match_row(match, timezone) for match in matches)}</div>'


def headline_card(match: Match, timezone: tzinfo) -> str:
    """Draw the heading of the match page: both clubs with the score or the kick-off time between them."""
    time = formatting.time_of_day(match.kick_off, timezone)
    middle = f"{match.score.home} – {match.score.away}" if match.score else time if match.has_time else "v"
    below = "full time" if match.score else {"scheduled": "kick-off"}.get(match.status, match.status)
    parts = [formatting.long_date(match.kick_off, timezone)]
    parts.append(f"{time} {formatting.timezone_name(timezone)}" if match.has_time else "time unknown")
    if match.has_time and not formatting.equals_utc(timezone, [match.kick_off]):
        parts.append(formatting.utc_date_and_time(match.kick_off))
    if match.matchday:
        parts.append(f"matchday {match.matchday}")
    return (
        f'<div class="tl-when">{escape(" · ".join(parts))}</div>'
        '<h1 class="tl-headline">'
        f'<div class="tl-headline-club">{escape(match.home_team)}<small>home</small></div>'
        f'<div class="tl-headline-middle">{middle}<small>{escape(below)}</small></div>'
        f'<div class="tl-headline-club">{escape(match.away_team)}<small>away</small></div></h1>'
    )


def forecast_sentence(match: Match) -> str:
    """Put the forecast into a sentence; after the match add whether it was right."""
    if match.forecast is None:
        return ""
    percents = whole_percents(match.forecast.probabilities)
    names = {
        "home": f"{as_text(match.home_team)} to win",
        "draw": "a draw",
        "away": f"{as_text(match.away_team)} to win",
    }
    favourite = match.forecast.predicted_outcome
    sentence = f"Most likely: **{names[favourite]}**, {percents[OUTCOMES.index(favourite)]}%."
    if match.score is None:
        odds = " / ".join(f"{1 / p:.2f}" for p in match.forecast.probabilities.triple if p > 0)
        return f"{sentence} Fair odds (home / draw / away): {odds}."
    if match.favourite_won:
        return f"{sentence} **✓ Right.**"
    percent = percents[OUTCOMES.index(match.score.outcome)]
    return f"{sentence} **✗ Wrong.** The forecast gave the actual result {percent}%."


def provenance(forecast: Forecast, timezone: tzinfo) -> str:
    """Name the model, the last match it was trained on, the last result it used and the date of publication."""
    parts = [
        f"{as_text(forecast.model.name)} version {forecast.model.version}",
        f"trained on matches up to {formatting.short_date(forecast.model.trained_through, timezone)}",
        f"uses results up to {formatting.short_date(forecast.features_as_of, timezone)}",
    ]
    if forecast.published_at:
        parts.append(f"published {formatting.short_date(forecast.published_at, timezone)}")
    return " · ".join(parts)
