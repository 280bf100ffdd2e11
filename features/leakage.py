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

Lower tiers and other leagues are harder to forecast, so without closing odds this limit is generous."""

MIN_MATCHES = 1000
"""From this many matches on, no allowance for chance: with fewer, a lucky season alone can pass the limit."""


def leakage_warning(probabilities: Floats, outcomes: Labels, closing: Floats | None = None) -> str | None:
    """Explain why forecasts (n, 3) are too good to be free of leakage; None if they are plausible.

    Parameters
    ----------
    outcomes : (n,) labels 0 home, 1 draw, 2 away.
    closing : (n, 3) probabilities of the closing odds, NaN where there are none. Where at least half of the matches
        have them, the comparison is with them on those matches; elsewhere with `CLOSING_SKILL` over the base rate.
    """
    has = np.zeros(len(outcomes), bool) if closing is None else ~np.isnan(closing).any(axis=1)
    if closing is not None and has.mean() >= 0.5:
        mine, line = rps(probabilities[has], outcomes[has]), rps(closing[has], outcomes[has])
        reference = "the closing odds of the same matches"
    else:
        mine = rps(probabilities, outcomes)
        base = np.tile(base_rate(outcomes), (len(outcomes), 1))
        line = (1 - CLOSING_SKILL) * rps(base, outcomes)
        reference = f"what closing odds reach (skill {CLOSING_SKILL} over the base rate)"
    if len(mine) < 2:
        return None
    difference = mine - line
    slack = 0.0 if len(mine) >= MIN_MATCHES else 3 * difference.std(ddof=1) / np.sqrt(len(mine))
    if difference.mean() >= -slack:
        return None
    return (
        f"RPS {mine.mean():.4f} over {len(mine)} matches is better than {line.mean():.4f}, {reference}: a feature most "
        "likely contains the result or something learnt after kick-off (a rating after the match, a final table, "
        "figures of the match itself, an unshifted window, a wrong date). Find it before believing the figure"
    )


def check_leakage(probabilities: Floats, outcomes: Labels, closing: Floats | None = None) -> None:
    """Raise LeakageError with the explanation of `leakage_warning`, if there is one."""
    if explanation := leakage_warning(probabilities, outcomes, closing):
        raise LeakageError(explanation)
