"""Mean differences between the scores of two forecasters of the same matches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Mean difference over n matches with its interval, or with bounds of every look; None if n is too small."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


def paired_difference(model: Floats, reference: Floats, level: float = 0.95) -> Difference:
    """Compute the mean of `model - reference` with Student's interval.

    Pairing removes the luck of the results, which both scores share: distinguishing two similar models takes fewer
    matches than estimating the score of either.

    Parameters
    ----------
    model, reference : (n,) scores of the same matches.
    level : coverage of the interval.
    """
    difference = np.asarray(model, float) - np.asarray(reference, float)
    n = len(difference)
    if n == 0:
        return Difference(0, None, None, None)
    mean = float(difference.mean())
    if n == 1:
        return Difference(1, mean, None, None)
    half = float(student.ppf(0.5 + level / 2, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    return Difference(n, mean, mean - half, mean + half)
