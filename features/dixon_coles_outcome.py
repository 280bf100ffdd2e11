"""Dixon-Coles on the expected goals of the goal ratings: outcome probabilities from two rates and one correction."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from features.metrics import log_loss
from features.scorelines import outcome_probabilities, score_grid

Floats = NDArray[np.float64]

_MIN_PROBABILITY = 1e-12


class DixonColesOutcome(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Outcome of two Poisson counts with the correction of low scores of Dixon & Coles (1997).

    `features.ratings.dixon_coles` fits the clubs' strengths too. Here they come from the goal ratings, as for every
    model that is served, so that the model is a classifier of columns. Fitted are two levels, a slope of the log
    expected goals and the correction, by the log loss of the outcome.

    Parameters
    ----------
    max_correction : largest absolute value of `rho_`; up to 0.2, no probability becomes negative.

    Attributes
    ----------
    classes_ : (3,) 0 home, 1 draw, 2 away.
    levels_ : (2,) added to the log expected goals of home and away side.
    slope_ : factor of the log expected goals.
    rho_ : correction of low scores.
    """

    def __init__(self, max_correction: float = 0.2) -> None:
        self.max_correction = max_correction

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on log expected goals (n, 2) of home and away side and labels (n,): 0 home, 1 draw, 2 away.

        Raises
        ------
        ValueError
            If the input has not two columns, or if not all three outcomes occur in `y`.
        """
        x, labels = validate_data(self, X, y)
        if x.shape[1] != 2:
            raise ValueError(
                f"DixonColesOutcome needs the log expected goals of both sides, but got {x.shape[1]} columns"
            )
        self.classes_ = np.unique(labels)
        if self.classes_.tolist() != [0, 1, 2]:
            raise ValueError(f"DixonColesOutcome needs the labels 0, 1 and 2, but y has {self.classes_.tolist()}")

        def loss(raw: Floats) -> float:
            return float(log_loss(_probabilities(raw[:2] + raw[2] * x, raw[3]), labels).mean())

        limit = self.max_correction
        bounds = [(-2.0, 2.0), (-2.0, 2.0), (0.0, 3.0), (-limit, limit)]
        result = minimize(loss, [0.0, 0.0, 1.0, 0.0], method="L-BFGS-B", bounds=bounds)
        self.levels_, self.slope_, self.rho_ = result.x[:2], float(result.x[2]), float(result.x[3])
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Predict probabilities (n, 3), ordered home, draw, away."""
        check_is_fitted(self)
        x = validate_data(self, X, reset=False)
        return _probabilities(self.levels_ + self.slope_ * x, self.rho_)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Predict the most likely outcome (n,) of each row."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def _probabilities(log_rates: Floats, rho: float) -> Floats:
    """Compute home, draw and away (n, 3) from the log expected goals (n, 2) of both sides."""
    p = np.maximum(outcome_probabilities(score_grid(np.exp(log_rates), rho)), _MIN_PROBABILITY)
    return np.asarray(p / p.sum(axis=1, keepdims=True))
