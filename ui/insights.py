"""HTML of the details of a forecast: expected goals, most likely scores, and the contribution of each rating."""

from __future__ import annotations

from html import escape
from math import exp

from ui.api_models import Explanation, Insight, Match
from ui.markdown_text import as_text

RATINGS = {
    "elo": ("Results", "Elo ratings: every result counts, clear wins more, adjusted for the opponent"),
    "pi": ("Goal margins", "Pi ratings: goal differences, separately at home and away"),
    "goals": ("Attack and defence", "Goals scored and conceded, adjusted for the opponent"),
    "shots on target": ("Shots on target", "Shots on target for and against"),
    "shots": ("Shots", "Shots for and against"),
    "market": ("Past odds", "What the market made of them: bookmakers’ odds of both clubs’ earlier matches"),
    "odds": ("Odds", "Bookmakers’ odds before the match"),
}
"""Label and explanation of each rating, and of the odds."""


def insight_panel(insight: Insight, match: Match) -> str:
    """Draw all sections, side by side if there is room."""
    contributions = _contributions(insight.explanation, match) if insight.explanation else ""
    return (
        f'<div class="tl-insight">{_expected_goals(insight, match)}{_scorelines(insight, match)}{contributions}</div>'
    )


def _expected_goals(insight: Insight, match: Match) -> str:
    sides = "".join(
        f'<div><b class="tl-ink-{side}">{goals:.1f}</b><span>{escape(club)}</span></div>'
        for side, goals, club in (
            ("home", insight.expected_goals.home, match.home_team),
            ("away", insight.expected_goals.away, match.away_team),
        )
    )
    return f'<section><h3>Expected goals</h3><div class="tl-xg">{sides}</div></section>'


def _scorelines(insight: Insight, match: Match) -> str:
    highest = max((scoreline.probability for scoreline in insight.scorelines), default=1) or 1
    rows = []
    for line in insight.scorelines:
        side = "home" if line.home > line.away else "away" if line.away > line.home else "draw"
        is_final_score = match.score is not None and (line.home, line.away) == (match.score.home, match.score.away)
        mark = ' class="tl-line tl-final" title="The final score"' if is_final_score else ' class="tl-line"'
        width = f"{line.probability / highest:.0%}"
        rows.append(
            f'<div{mark}><b>{line.home} – {line.away}</b><i class="tl-{side}" style="width:{width}"></i>'
            f"<span>{line.probability:.0%}</span></div>"
        )
    return f"<section><h3>Most likely scores</h3>{''.join(rows)}</section>"


def _contributions(explanation: Explanation, match: Match) -> str:
    """Draw one bar per rating: left for the home side, right for the away side, as in the probability bar."""
    parts = [
        ("Home advantage", "How much it favours the home side if both clubs are average", explanation.baseline_log_odds)
    ]
    for contribution in explanation.contributions:
        label, hint = RATINGS.get(contribution.rating, (contribution.rating, contribution.rating))
        parts.append((label, hint, contribution.share))
    widest = max(abs(log_odds) for _, _, log_odds in parts) or 1
    rows = "".join(_contribution(label, hint, log_odds, abs(log_odds) / widest / 2) for label, hint, log_odds in parts)
    clubs = (match.home_team, match.away_team)
    favourite, other = clubs if explanation.log_odds >= 0 else clubs[::-1]
    ratio = exp(abs(explanation.log_odds))
    times = f"<b>{ratio:.1f} times</b>" if ratio >= 1.05 else "<b>about</b>"
    return (
        '<section class="tl-why"><h3>What moved the forecast</h3>'
        '<div class="tl-contribution tl-directions"><span></span><div><em>← home</em><em>away →</em></div><b></b></div>'
        f'{rows}<p title="log-odds {explanation.log_odds:+.3f}">Together: {escape(favourite)} are {times} '
        f"as likely to win as {escape(other)}.</p></section>"
    )


def _contribution(label: str, hint: str, log_odds: float, width: float) -> str:
    side = "home" if log_odds > 0 else "away"
    return (
        f'<div class="tl-contribution" title="{escape(hint)} (log-odds {log_odds:+.3f})"><span>{escape(label)}</span>'
        f'<div class="tl-to-{side}"><i style="width:{width:.1%}"></i></div><b>×{exp(abs(log_odds)):.2f}</b></div>'
    )


def sparse_history_warning(insight: Insight, match: Match) -> str:
    """Warn if the data has hardly any match of a club; return an empty text otherwise."""
    if not insight.sparse_history_clubs:
        return ""
    clubs = ((match.home_team, insight.matches_rated.home), (match.away_team, insight.matches_rated.away))
    counts = " and ".join(
        f"{count or 'no'} {'match' if count == 1 else 'matches'} of {as_text(club)}" for club, count in clubs
    )
    rated_as_promoted = " and ".join(map(as_text, insight.sparse_history_clubs))
    return (
        f"**Little data.** When this forecast was made, the data had {counts}. The forecast treats {rated_as_promoted} "
        "like a typical promoted club, so it is rough and the first results will change it quickly."
    )
