"""Matches whose true probabilities are known, and two forecasters of them with a given difference in skill."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, softmax

from monitoring.production_comparison import differences_by_outcome

Floats = NDArray[np.float64]

NOISE, OWN_NOISE = 0.3, 0.12
"""Standard deviations of the errors in log-probabilities: of production, and of the candidate beside it."""


def true_probabilities(n: int, rng: np.random.Generator) -> Floats:
    """Draw probabilities (n, 3) as closing odds have them: an ordered logit of the difference in strength."""
    strength = rng.normal(0.25, 0.95, n)
    home, away = expit(strength - 0.62), expit(-strength - 0.62)
    return np.stack([home, 1 - home - away, away], axis=1)


def forecasts(n: int, difference: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Draw true probabilities, production's and the candidate's, (n, 3) each."""
    truth = true_probabilities(n, rng)
    production = softmax(np.log(truth) + rng.normal(0, NOISE, (n, 3)), axis=1)
    noise = rng.normal(0, OWN_NOISE, (n, 3))

    def candidate(step: float) -> Floats:
        towards = step * (np.log(truth) - np.log(production))
        return np.asarray(softmax(np.log(production) + towards + noise, axis=1))

    def gap(step: float) -> float:
        return float((differences_by_outcome(candidate(step), production) * truth).sum(axis=1).mean()) - difference

    return truth, production, candidate(float(brentq(gap, -3, 1)))
