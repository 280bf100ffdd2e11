"""What stands behind a forecast as HTML: expected goals, the likeliest scores, and what moved it."""

from __future__ import annotations

from html import escape
from math import exp

from ui.api_models import Explanation, Insight, Match

RATINGS = {
    "elo": ("Results", "Elo rating: results, more so clear ones, weighed by the opponent"),
    "pi": ("Goal margins", "Pi ratings: goal differences, at home and away apart"),
    "goals": ("Attack and defence", "Goals scored and conceded, weighed by the opponent"),
    "shots on target": ("Shots on target", "Shots on target made and allowed"),
    "shots": ("Shots", "Shots made and allowed"),
    "odds": ("Odds", "What bookmakers offered before the match"),
}
"""What each rating looks at, and what the odds are, in a word and in a sentence."""


def block(told: Insight, match: Match) -> str:
    """All of it, side by side where there is room."""
    why = _why(told.explanation, match) if told.explanation else ""
    return f'<div class="tl-insight">{_goals(told, match)}{_scores(told, match)}{why}</div>'


def _goals(told: Insight, match: Match) -> str:
    sides = "".join(
        f'<div><b class="tl-ink-{side}">{goals:.1f}</b><span>{escape(club)}</span></div>'
        for side, goals, club in (
            ("home", told.expected_goals.home, match.home_team),
            ("away", told.expected_goals.away, match.away_team),
        )
    )
    return f'<section><h4>Expected goals</h4><div class="tl-xg">{sides}</div></section>'


def _scores(told: Insight, match: Match) -> str:
    most = max((one.probability for one in told.scorelines), default=1) or 1
    rows = []
    for one in told.scorelines:
        side = "home" if one.home > one.away else "away" if one.away > one.home else "draw"
        came = match.score is not None and (one.home, one.away) == (match.score.home, match.score.away)
        mark = ' class="tl-line tl-came" title="This is what happened"' if came else ' class="tl-line"'
        rows.append(
            f'<div{mark}><b>{one.home} – {one.away}</b><i class="tl-{side}" style="width:{one.probability / most:.0%}">'
            f"</i><span>{one.probability:.0%}</span></div>"
        )
    return f"<section><h4>Likeliest scores</h4>{''.join(rows)}</section>"


def _why(told: Explanation, match: Match) -> str:
    """A bar a rating, to the left for the home side and to the right for the away side, as in the forecast's bar."""
    parts = [("Playing at home", "Two average clubs: how much likelier the home side wins", told.baseline_log_odds)]
    parts += [(*RATINGS.get(one.rating, (one.rating, one.rating)), one.share) for one in told.contributions]
    widest = max(abs(share) for _, _, share in parts) or 1
    rows = "".join(_pull(name, hint, share, abs(share) / widest / 2) for name, hint, share in parts)
    ahead, behind = (match.home_team, match.away_team) if told.log_odds >= 0 else (match.away_team, match.home_team)
    times = exp(abs(told.log_odds))
    share = f"<b>{times:.1f} times</b>" if times >= 1.05 else "<b>about</b>"
    return (
        f'<section class="tl-why"><h4>What moved it</h4><div class="tl-pull tl-toward"><span></span>'
        f"<div><em>← home</em><em>away →</em></div><b></b></div>{rows}"
        f'<p title="log-odds {told.log_odds:+.3f}">Together: {escape(ahead)} are {share} '
        f"as likely to win as {escape(behind)}.</p></section>"
    )


def _pull(name: str, hint: str, share: float, width: float) -> str:
    return (
        f'<div class="tl-pull" title="{escape(hint)} (log-odds {share:+.3f})"><span>{escape(name)}</span>'
        f'<div class="tl-to-{"home" if share > 0 else "away"}"><i style="width:{width:.1%}"></i></div>'
        f"<b>×{exp(abs(share)):.2f}</b></div>"
    )


def little_known(told: Insight, match: Match) -> str:
    """The warning where a club has hardly any match in the data; empty otherwise."""
    if not told.sparse_history_clubs:
        return ""
    counts = ((match.home_team, told.matches_rated.home), (match.away_team, told.matches_rated.away))
    said = " and ".join(f"{count or 'no'} {'match' if count < 2 else 'matches'} of {club}" for club, count in counts)
    return (
        f"**Little is known here.** When this forecast was made the data had {said}. It takes "
        f"{' and '.join(told.sparse_history_clubs)} for what newcomers usually are: a wide guess, which results will "
        "soon move."
    )
