"""Bounds of a mean difference that stay valid however often, and for however long, one looks at them.

An interval for a fixed number of matches misses the true mean more and more often if it is computed again after each
match: whoever looks every day and acts on the first good interval acts on luck. The bounds of a confidence sequence
hold at all matches together with the given probability.

Sources: the estimand, the mean of the conditional expectations of score differences, and the empirical Bernstein
supermartingale are those of Choe and Ramdas, "Comparing sequential forecasters" (Operations Research, 2024), with the
mixture over several bets of Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B,
2024). What is added: a difference between two forecasts of a match has only one value for each outcome, so that its
range is known before the match, and is usually far smaller than that of the score.

For one bet size l, with differences x_i whose conditional means are m_i, centres g_i that are known before match i, and
x_i - g_i >= -c_i, where l c_i < 1,

    exp(sum l (x_i - m_i) - sum psi_i (x_i - g_i)^2),   psi_i = (-log(1 - l c_i) - l c_i) / c_i^2

is a nonnegative supermartingale that begins at 1 (Fan, Grama and Liu, "Exponential inequalities for martingales with
applications", 2015). So is the average over several l, and one that is set to 0 as soon as l c_i >= 1 would occur,
since c_i is known before. By Ville's inequality it exceeds 1 / alpha at any time with a probability of at most alpha.
The lower bound of the mean of the m_i is the value at which the average equals 1 / alpha; the upper one follows from
-x.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

from monitoring.differences import Difference

Floats = NDArray[np.float64]

BETS = np.geomspace(1, 512, 10)
"""Bet sizes, for differences in RPS. The best one is about sqrt(12 / n) / sd: 1.6 for 5,000 matches with a standard
deviation of 0.03, and 350 for 100 matches with 0.001, which two trainings of one model have. A factor of two between
them widens the interval by at most 6 %."""


def mean_bounds(x: Floats, lowest: Floats, highest: Floats, level: float = 0.95) -> Difference:
    """Bound the mean of the expected differences after n matches, in the order in which they were played.

    Parameters
    ----------
    x : (n,) differences, candidate minus reference, in [-1, 1].
    lowest, highest : (n,) range of each difference, known before its match; lowest <= x <= highest.
    level : probability with which the interval holds at all numbers of matches together; each side has half the error.

    Returns
    -------
    Number of matches, mean of `x`, and the bounds; they are -1 and 1 as long as nothing is known. Without a match, all
    are None.
    """
    n = len(x)
    if n == 0:
        return Difference(0, None, None, None)
    alpha = (1 - level) / 2
    low = -_upper(-x, -highest, -lowest, alpha)
    return Difference(n, float(x.mean()), low, _upper(x, lowest, highest, alpha))


def excludes_at_each_look(
    x: Floats, lowest: Floats, highest: Floats, mean: float, level: float = 0.95
) -> NDArray[np.bool_]:
    """Tell for each number of matches whether the upper bound is below a given mean.

    Parameters
    ----------
    x, lowest, highest, level : as for `mean_bounds`.
    mean : value that the upper bound is compared with.

    Returns
    -------
    Mask (n,), one element for each look.
    """
    sums, variances = _processes(x, lowest, highest)
    n = np.arange(1, len(x) + 1)
    exponents = BETS[:, None] * (mean * n - sums) - variances
    return np.asarray(logsumexp(exponents, axis=0) - np.log(len(BETS)) >= np.log(2 / (1 - level)))


def matches_needed(
    x: Floats, lowest: Floats, highest: Floats, mean: float, level: float = 0.95, limit: int = 100_000
) -> int | None:
    """Estimate the number of matches after which the upper bound is below a given mean, if later ones are as so far.

    Parameters
    ----------
    x, lowest, highest, level : as for `mean_bounds`; n > 0.
    mean : value that the upper bound must be below.
    limit : largest number that is tried.

    Returns
    -------
    Number of all matches, at least n; None if even `limit` matches would not do.
    """
    sums, variances = _processes(x, lowest, highest)
    n = len(x)
    gain = BETS * (mean - sums[-1] / n) - variances[:, -1] / n
    goal = np.log(len(BETS)) + np.log(2 / (1 - level))

    def suffices(matches: int) -> bool:
        return bool(logsumexp(matches * gain) >= goal)

    if not suffices(limit):
        return None
    return n + bisect_left(range(n, limit), True, key=suffices)


def _upper(x: Floats, lowest: Floats, highest: Floats, alpha: float) -> float:
    """Compute the upper bound after the last match; at most 1."""
    sums, variances = _processes(x, lowest, highest)
    n, total, variance = len(x), sums[-1], variances[:, -1]

    def excess(mean: float) -> float:
        return float(logsumexp(BETS * (mean * n - total) - variance) - np.log(len(BETS)) + np.log(alpha))

    if not np.isfinite(variance).any() or excess(1.0) < 0:
        return 1.0
    return float(brentq(excess, total / n, 1.0, xtol=1e-9))


def _processes(x: Floats, lowest: Floats, highest: Floats) -> tuple[Floats, Floats]:
    """Compute the sums (n,) of the differences, and of psi (x - g)^2 for each bet (bets, n); infinite if too large."""
    sums = np.cumsum(x)
    before = np.concatenate([[0.0], sums[:-1]])
    centre = np.clip(before / np.arange(1, len(x) + 1), lowest, highest)
    width = np.maximum(highest - centre, 0)
    risk = np.outer(BETS, width)
    is_allowed = np.logical_and.accumulate(risk < 1, axis=1)
    safe = np.where(risk < 1, risk, 0)
    # psi / l^2, by its series where the difference of two nearly equal numbers would lose all digits
    psi = np.where(safe < 1e-4, 0.5 + safe / 3, (-np.log1p(-safe) - safe) / np.maximum(safe, 1e-4) ** 2)
    variances = np.cumsum(BETS[:, None] ** 2 * psi * (x - centre) ** 2, axis=1)
    return sums, np.where(is_allowed, variances, np.inf)
