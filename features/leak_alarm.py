"""Leakage check: forecasts that are too good almost certainly use information from after kick-off.

What is too good depends on the competition: where strong clubs meet weak ones, everyone forecasts well. So forecasts
are compared with the closing odds of the same matches where these are known, and elsewhere with what is honest on the
same matches: ratings from earlier results, and the odds before the match. `features.scrambled_results` tests features
exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.errors import LeakageError
from features.metrics import base_rate, rps

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]

CLOSING_SKILL = 0.166
"""1 - RPS/RPS_base of the average closing odds, Premier League 2021/22 to 2025/26 (.1935 against .2321, N=1,900).

The limit for matches from which no ratings can be computed, because clubs or days are missing."""

CLOSING_GAIN = 0.028
"""Skill that the closing odds have in addition to the ratings of `features.honest_forecasts`, in the same matches.

In the Premier League it is .031 (.1935 against .2007, base rate .2321). In made leagues,
the true probabilities have .018 more skill on average, and a rating after the match has .03 to .085."""

ODDS_GAIN = 0.005
"""Skill that forecasts may have in addition to the odds before the same matches. Models that learn from the odds have
at most .0001 more than the odds, in seven leagues of four countries (N=30,288)."""

MIN_MATCHES = 1000
"""With at least this many matches, no allowance is made for chance. With fewer, a lucky season can pass the limit."""

MIN_RATED_MATCHES = 1500
"""The same where ratings or odds before the match are the reference, which know less than closing odds: in made leagues
the true probabilities have .018 more skill than ratings on 990 matches, with a standard deviation of .006 (up to .035),
and at most .020 on 1,900 matches."""

CHANCE = 4.0
"""Standard errors by which fewer matches may pass the limit. In 480 made leagues of 10 clubs and four seasons, the true
probabilities passed it by more than three of them once; goals of the match itself pass it by up to 8."""

CAUSES = (
    "a feature most likely contains the result or something learnt after kick-off (a rating after the match, "
    "a final table, figures of the match itself, an unshifted window, a wrong date). "
    "Find the cause before you trust the score: leave out one feature after the other until the alarm ends"
)


def leakage_warning(
    probabilities: Floats,
    outcomes: Labels,
    closing: Floats | None = None,
    honest: Floats | None = None,
    odds: Floats | None = None,
) -> str | None:
    """Explain why forecasts are too good to be free of leakage; None if they are plausible.

    Parameters
    ----------
    probabilities : (n, 3) forecasts, ordered home, draw, away.
    outcomes : (n,) labels 0 home, 1 draw, 2 away.
    closing : (n, 3) probabilities of the closing odds, NaN for matches without odds. If at least half of the
        matches have closing odds, the forecasts are compared with the odds on those matches.
    honest : (n, 3) forecasts from earlier results only, NaN for matches without. Otherwise, if at least half of the
        matches have these, the forecasts may have `CLOSING_GAIN` more skill than they. Without any reference, the
        forecasts may have `CLOSING_SKILL`.
    odds : (n, 3) probabilities of the odds before the matches, NaN for matches without. As `honest`, with `ODDS_GAIN`;
        of both, the limit is the one that allows more, because odds may be poor and results may be few.
    """
    if (known := _known(closing)) is not None:
        assert closing is not None
        limit = rps(closing[known], outcomes[known])
        return _warning(probabilities[known], outcomes[known], limit, "the closing odds of the same matches")
    references = [
        (reference, gain, words)
        for reference, gain, words in (
            (honest, CLOSING_GAIN, "ratings from earlier results only"),
            (odds, ODDS_GAIN, "the odds before the matches"),
        )
        if reference is not None and _known(reference) is not None
    ]
    if references:
        return _warning_against(probabilities, outcomes, references)
    limit = (1 - CLOSING_SKILL) * _base_rps(outcomes)
    reference = f"the RPS that closing odds reach (skill {CLOSING_SKILL} over the base rate)"
    return _warning(probabilities, outcomes, limit, reference)


def _warning_against(
    probabilities: Floats, outcomes: Labels, references: list[tuple[Floats, float, str]]
) -> str | None:
    """Compare with the references on the matches that all of them know; the one that allows most is the limit."""
    known = np.all([~np.isnan(reference).any(axis=1) for reference, _, _ in references], axis=0)
    labels = outcomes[known]
    if len(labels) < 2:
        return None
    base_rps = _base_rps(labels)
    scores = [(rps(reference[known], labels), gain, words) for reference, gain, words in references]
    reference_rps, gain, words = min(scores, key=lambda score: (score[0] - score[1] * base_rps).mean())
    limit = f"what can be reached ({words} reach {reference_rps.mean():.4f} on the same matches, and {gain} more skill)"
    return _warning(probabilities[known], labels, reference_rps - gain * base_rps, limit, MIN_RATED_MATCHES)


def _known(reference: Floats | None) -> Mask | None:
    """Return a mask of the matches with a reference; None if fewer than half have one."""
    if reference is None or not len(reference):
        return None
    known = np.asarray(~np.isnan(reference).any(axis=1))
    return known if known.mean() >= 0.5 else None


def _base_rps(outcomes: Labels) -> Floats:
    return rps(np.tile(base_rate(outcomes), (len(outcomes), 1)), outcomes)


def _warning(
    probabilities: Floats, outcomes: Labels, limit: Floats, reference: str, enough: int = MIN_MATCHES
) -> str | None:
    model_rps = rps(probabilities, outcomes)
    if len(model_rps) < 2:
        return None
    difference = model_rps - limit
    slack = 0.0 if len(model_rps) >= enough else CHANCE * difference.std(ddof=1) / np.sqrt(len(model_rps))
    if difference.mean() >= -slack:
        return None
    scores = f"RPS {model_rps.mean():.4f} over {len(model_rps)} matches is better than {limit.mean():.4f}"
    return f"{scores}, {reference}: {CAUSES}"


def check_leakage(
    probabilities: Floats,
    outcomes: Labels,
    closing: Floats | None = None,
    honest: Floats | None = None,
    odds: Floats | None = None,
) -> None:
    """Raise LeakageError if `leakage_warning` finds the forecasts implausible; the message explains why."""
    if explanation := leakage_warning(probabilities, outcomes, closing, honest, odds):
        raise LeakageError(explanation)
