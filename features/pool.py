"""Logarithmic pool of bookmakers' odds and ratings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from features.blend import RatingBlend
from features.metrics import log_loss

Floats = NDArray[np.float64]

MIN_MATCHES_WITH_ODDS = 380
"""A season of a league: with fewer matches with odds, the odds get no weight."""


def pooled(odds: Floats, ratings: Floats, weight: float) -> Floats:
    """Logarithmic pool (n, 3) of two forecasts (n, 3), proportional to odds * ratings^weight; Genest & Zidek (1986)."""
    return np.asarray(softmax(np.log(odds) + weight * np.log(ratings), axis=1))


def pool_weight(odds: Floats, ratings: Floats, outcomes: NDArray[np.int64]) -> float:
    """Weight of the ratings, 0 to 1, that minimises the log loss.

    Odds have weight 1. With a second weight, or with free coefficients on the log-odds of both, forecasts of seasons
    before 2019/20 were worse than the odds alone.
    """

    def loss(weight: float) -> float:
        return float(log_loss(pooled(odds, ratings, weight), outcomes).mean())

    return float(minimize_scalar(loss, bounds=(0, 1), method="bounded").x)


class OddsPool(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A model of the ratings, pooled with the odds of matches that have odds.

    Parameters
    ----------
    odds : the two columns of `market`, after those of the ratings; None if there are none.
    groups, C : of the model of the ratings, see `features.blend.RatingBlend`.

    Attributes
    ----------
    classes_ : (n_classes,) in order.
    ratings_ : the fitted model of the ratings.
    weights_ : (2,) of odds and ratings for matches with odds; (0, 1) if too few matches had odds, or if the odds had a
        higher log loss than the ratings.
    usual_ : (2,) mean of the columns of odds, 0 without any.
    """

    def __init__(
        self, odds: Sequence[int] | None = None, groups: Sequence[Sequence[int]] | None = None, C: float = 0.1
    ) -> None:
        self.odds = odds
        self.groups = groups
        self.C = C

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on input (n, n_features), NaN where a match has no odds, and ordered labels (n,)."""
        x, labels = validate_data(self, X, y, ensure_all_finite="allow-nan")
        odds, own = self.parts(x)
        self.ratings_ = RatingBlend(self.groups, self.C).fit(own, labels)
        self.classes_ = self.ratings_.classes_
        priced = has_odds(odds)
        self.weights_, self.usual_ = np.array([0.0, 1.0]), np.zeros(2)
        if priced.sum() >= MIN_MATCHES_WITH_ODDS and len(self.classes_) == 3:
            index = np.searchsorted(self.classes_, labels[priced])
            by_odds, by_ratings = _probabilities(odds[priced]), self.ratings_.predict_proba(own[priced])
            if log_loss(by_odds, index).mean() < log_loss(by_ratings, index).mean():
                self.weights_ = np.array([1.0, pool_weight(by_odds, by_ratings, index)])
                self.usual_ = odds[priced].mean(axis=0)
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probabilities (n, n_classes) in the order of `classes_`."""
        check_is_fitted(self)
        odds, own = self.parts(validate_data(self, X, reset=False, ensure_all_finite="allow-nan"))
        p = self.ratings_.predict_proba(own)
        priced = self.uses_columns(odds)
        if priced.any():
            p[priced] = pooled(_probabilities(odds[priced]), p[priced], float(self.weights_[1]))
        return p

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """The most likely class of each row (n,)."""
        p = self.predict_proba(X)
        return np.asarray(self.classes_[p.argmax(axis=1)])

    def parts(self, x: Floats) -> tuple[Floats, Floats]:
        """The columns of the odds (n, 2), NaN without any, and those of the ratings (n, n_features - 2)."""
        if self.odds is None:
            return np.full((len(x), 2), np.nan), x
        return x[:, list(self.odds)], np.delete(x, list(self.odds), axis=1)

    def uses_columns(self, odds: Floats) -> NDArray[np.bool_]:
        """Rows (n,) whose odds count, by their columns (n, 2)."""
        return has_odds(odds) & bool(self.weights_[0])

    def __sklearn_tags__(self) -> Tags:
        """Classes must be ordered, so the blobs without order of scikit-learn's checks are beyond it."""
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        tags.input_tags.allow_nan = self.odds is not None
        return tags


def has_odds(odds: Floats) -> NDArray[np.bool_]:
    """Rows (n,) with odds, by their columns (n, 2)."""
    return np.asarray(np.isfinite(odds).all(axis=1))


def _probabilities(odds: Floats) -> Floats:
    return np.asarray(softmax(np.insert(odds, 1, 0.0, axis=1), axis=1))
