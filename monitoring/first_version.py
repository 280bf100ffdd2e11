"""Whether the very first version may go into production, and whether it is provisional there.

The first version has no shadow forecasts and no predecessor, and without it there are no forecasts at all. So it is
refused only if it is shown to be bad. Until it is shown to be good, it is provisional, and says what is missing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from monitoring.conditions import format_difference
from monitoring.differences import Difference
from monitoring.sample_size import MIN_MATCHES


@dataclass(frozen=True)
class Provisional:
    """Why a version in production is provisional.

    Attributes
    ----------
    reason : a clause for a person.
    matches : number of matches that it was judged by: of earlier seasons, walk-forward, and published forecasts.
    missing : number of matches that are missing before it can be judged; 0 if they did not show enough.
    """

    reason: str
    matches: int
    missing: int

    def to_dict(self) -> dict[str, Any]:
        """Convert it to its form in `reports/gate.json`."""
        return asdict(self)


@dataclass(frozen=True)
class FirstVersionVerdict:
    """Why a first version may not go into production, None if it may; and why it is provisional, None if it is not."""

    rejection: str | None = None
    provisional: Provisional | None = None


def judge(to_base_rate: Difference, to_plain_elo: Difference) -> FirstVersionVerdict:
    """Judge a first version by its forecasts of matches that it had not seen.

    It is confirmed if it is significantly better than the base rate (the whole 95 % interval of the paired RPS
    difference lies below zero) and not significantly worse than plain Elo. It need not be better than plain Elo: on
    seven seasons, good models do not differ significantly from it. It is rejected if it is significantly worse than
    either, and provisional in between, and with fewer than `MIN_MATCHES` matches in any case.

    Parameters
    ----------
    to_base_rate, to_plain_elo : paired RPS differences, model minus baseline; the latter on the matches of the former
        for which plain Elo has a forecast.
    """
    matches = to_base_rate.n
    if matches < MIN_MATCHES:
        missing = MIN_MATCHES - matches
        compared = f", RPS difference to the base rate {format_difference(to_base_rate)}" if matches else ""
        reason = f"judged by {matches} matches{compared}; {missing} more of {MIN_MATCHES} are needed"
        return FirstVersionVerdict(provisional=Provisional(reason, matches, missing))
    if to_plain_elo.n < MIN_MATCHES:  # it cannot be fitted in a league's first season
        reason = f"judged by {matches} matches, of which plain Elo forecast only {to_plain_elo.n}"
        return FirstVersionVerdict(provisional=Provisional(reason, matches, MIN_MATCHES - to_plain_elo.n))
    for difference, baseline in ((to_base_rate, "the base rate"), (to_plain_elo, "plain Elo")):
        if difference.low is None or difference.low > 0:
            reason = f"significantly worse than {baseline}: RPS difference {format_difference(difference)}"
            return FirstVersionVerdict(rejection=reason)
    if to_base_rate.high is None or not to_base_rate.high < 0:
        reason = (
            f"not significantly better than the base rate on {matches} matches: "
            f"RPS difference {format_difference(to_base_rate)}"
        )
        return FirstVersionVerdict(provisional=Provisional(reason, matches, 0))
    return FirstVersionVerdict()


def pool(first: Difference, second: Difference, level: float = 0.95) -> Difference:
    """Compute the paired difference over two disjoint sets of matches from those of each.

    Parameters
    ----------
    first, second : differences with intervals of `monitoring.performance.paired_difference`.
    level : coverage of all intervals.
    """
    parts = [part for part in (first, second) if part.n and part.mean is not None]
    if len(parts) < 2:
        return parts[0] if parts else Difference(0, None, None, None)
    n = sum(part.n for part in parts)
    mean = sum(part.n * (part.mean or 0.0) for part in parts) / n
    squares = sum(_sum_of_squares(part, level) + part.n * ((part.mean or 0.0) - mean) ** 2 for part in parts)
    half = float(student.ppf(0.5 + level / 2, n - 1) * np.sqrt(squares / (n - 1) / n))
    return Difference(n, mean, mean - half, mean + half)


def _sum_of_squares(part: Difference, level: float) -> float:
    """Recover the sum of squared deviations from the mean; one match has none."""
    if part.low is None or part.high is None:
        return 0.0
    error = (part.high - part.low) / 2 / float(student.ppf(0.5 + level / 2, part.n - 1))
    return error**2 * part.n * (part.n - 1)
