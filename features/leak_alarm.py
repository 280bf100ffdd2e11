"""Leakage check: forecasts better than the closing odds almost certainly use information from after kick-off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.errors import LeakageError
from features.metrics import base_rate, rps

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

CLOSING_SKILL = 0.166
"""1 - RPS/RPS_base of the average closing odds, Premier League 2021/22 to 2025/26 (.1935 against .2321, N=1,900).

Other leagues and lower tiers are harder to forecast, so for them this limit is generous."""

MIN_MATCHES = 1000
"""With at least this many matches, no allowance is made for chance. With fewer, a lucky season can pass the limit."""


def leakage_warning(probabilities: Floats, outcomes: Labels, closing: Floats | None = None) -> str | None:
    """Explain why forecasts are too good to be free of leakage; None if they are plausible.

    Parameters
    ----------
    probabilities : (n, 3) forecasts, ordered home, draw, away.
    outcomes : (n,) labels 0 home, 1 draw, 2 away.
    closing : (n, 3) probabilities of the closing odds, NaN for matches without odds. If at least half of the
        matches have closing odds, the forecasts are compared with the odds on those matches. Otherwise their skill over
        the base rate is compared with `CLOSING_SKILL`.
    """
    has_closing = np.zeros(len(outcomes), bool) if closing is None else ~np.isnan(closing).any(axis=1)
    if closing is not None and has_closing.mean() >= 0.5:
        labels = outcomes[has_closing]
        model_rps, limit = rps(probabilities[has_closing], labels), rps(closing[has_closing], labels)
        reference = "the closing odds of the same matches"
    else:
        model_rps = rps(probabilities, outcomes)
        base = np.tile(base_rate(outcomes), (len(outcomes), 1))
        limit = (1 - CLOSING_SKILL) * rps(base, outcomes)
        reference = f"the RPS that closing odds reach (skill {CLOSING_SKILL} over the base rate)"
    if len(model_rps) < 2:
        return None
    difference = model_rps - limit
    slack = 0.0 if len(model_rps) >= MIN_MATCHES else 3 * difference.std(ddof=1) / np.sqrt(len(model_rps))
    if difference.mean() >= -slack:
        return None
    return (
        f"RPS {model_rps.mean():.4f} over {len(model_rps)} matches is better than {limit.mean():.4f}, {reference}: "
        "a feature most likely contains the result or something learnt after kick-off (a rating after the match, "
        "a final table, figures of the match itself, an unshifted window, a wrong date). "
        "Find the cause before you trust the score"
    )


def check_leakage(probabilities: Floats, outcomes: Labels, closing: Floats | None = None) -> None:
    """Raise LeakageError if `leakage_warning` finds the forecasts implausible; the message explains why."""
    if explanation := leakage_warning(probabilities, outcomes, closing):
        raise LeakageError(explanation)
