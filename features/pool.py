"""Logarithmic pool of bookmakers' odds and a model of the ratings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from features.blend import RatingBlend
from features.coverage_heads import CoverageHeads
from features.metrics import log_loss

Floats = NDArray[np.float64]

MIN_MATCHES_WITH_ODDS = 380
"""Minimum number of training matches with odds: a season of a league of twenty. With fewer, the odds get weight 0."""


def pooled(by_odds: Floats, by_ratings: Floats, weight: float) -> Floats:
    """Pool two forecasts: probabilities (n, 3) proportional to by_odds * by_ratings^weight; Genest & Zidek (1986).

    Parameters
    ----------
    by_odds, by_ratings : (n, 3) probabilities by odds and by ratings.
    weight : of the ratings; the odds have weight 1.
    """
    return np.asarray(softmax(np.log(by_odds) + weight * np.log(by_ratings), axis=1))


def pool_weight(by_odds: Floats, by_ratings: Floats, outcomes: NDArray[np.int64]) -> float:
    """Find the weight of the ratings, 0 to 1, that minimises the log loss; the odds have weight 1.

    With a fitted weight for the odds too, or with free coefficients on the log-odds of both, forecasts of seasons
    before 2019/20 were worse than the odds alone.

    Parameters
    ----------
    by_odds, by_ratings : (n, 3) probabilities by odds and by ratings.
    outcomes : (n,) labels: 0 home, 1 draw, 2 away.
    """

    def loss(weight: float) -> float:
        return float(log_loss(pooled(by_odds, by_ratings, weight), outcomes).mean())

    return float(minimize_scalar(loss, bounds=(0, 1), method="bounded").x)


class OddsPool(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Model of the ratings, pooled with the odds for matches that have odds.

    Parameters
    ----------
    odds : numbers of the two columns with the log-odds of `features.odds.bookmaker_log_odds`; None without odds.
    ratings : unfitted model of the other columns; None for a `RatingBlend`.

    Attributes
    ----------
    classes_ : (n_classes,) in ascending order.
    ratings_ : fitted model of the ratings.
    weights_ : (2,) weights of odds and ratings for matches with odds; (0, 1) if too few training matches had odds, or
        if the log loss of the odds was not lower than that of the ratings.
    usual_ : (2,) mean log-odds in the columns of odds; 0 if the odds have no weight.
    """

    def __init__(self, odds: Sequence[int] | None = None, ratings: RatingBlend | CoverageHeads | None = None) -> None:
        self.odds = odds
        self.ratings = ratings

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on input (n, n_features), with NaN for missing odds, and ordered labels (n,)."""
        x, labels = validate_data(self, X, y, ensure_all_finite="allow-nan")
        odds_log_odds, ratings = self.parts(x)
        unfitted = RatingBlend() if self.ratings is None else clone(self.ratings)
        self.ratings_ = unfitted.fit(ratings, labels)
        self.classes_ = self.ratings_.classes_
        priced = has_odds(odds_log_odds)
        self.weights_, self.usual_ = np.array([0.0, 1.0]), np.zeros(2)
        if priced.sum() >= MIN_MATCHES_WITH_ODDS and len(self.classes_) == 3:
            index = np.searchsorted(self.classes_, labels[priced])
            by_odds, by_ratings = _probabilities(odds_log_odds[priced]), self.ratings_.predict_proba(ratings[priced])
            if log_loss(by_odds, index).mean() < log_loss(by_ratings, index).mean():
                self.weights_ = np.array([1.0, pool_weight(by_odds, by_ratings, index)])
                self.usual_ = odds_log_odds[priced].mean(axis=0)
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Predict probabilities (n, n_classes) in the order of `classes_`."""
        check_is_fitted(self)
        odds_log_odds, ratings = self.parts(validate_data(self, X, reset=False, ensure_all_finite="allow-nan"))
        p = self.ratings_.predict_proba(ratings)
        priced = self.uses_columns(odds_log_odds)
        if priced.any():
            p[priced] = pooled(_probabilities(odds_log_odds[priced]), p[priced], float(self.weights_[1]))
        return p

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """Predict the most likely class (n,) of each row."""
        p = self.predict_proba(X)
        return np.asarray(self.classes_[p.argmax(axis=1)])

    def parts(self, x: Floats) -> tuple[Floats, Floats]:
        """Split input (n, n_features) into the columns of the odds (n, 2), NaN without odds, and all others."""
        if self.odds is None:
            return np.full((len(x), 2), np.nan), x
        return x[:, list(self.odds)], np.delete(x, list(self.odds), axis=1)

    def uses_columns(self, odds_log_odds: Floats) -> NDArray[np.bool_]:
        """Return a mask (n,) of the rows whose odds have a weight, from the columns of the odds (n, 2)."""
        return has_odds(odds_log_odds) & bool(self.weights_[0])

    def __sklearn_tags__(self) -> Tags:
        """Allow a poor score in scikit-learn's checks: their classes have no order, but this model needs one."""
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        tags.input_tags.allow_nan = self.odds is not None
        return tags


def has_odds(odds_log_odds: Floats) -> NDArray[np.bool_]:
    """Return a mask (n,) of the rows with odds, from the columns of the odds (n, 2)."""
    return np.asarray(np.isfinite(odds_log_odds).all(axis=1))


def _probabilities(odds_log_odds: Floats) -> Floats:
    """Convert log-odds (n, 2) of home and away against a draw to probabilities (n, 3)."""
    return np.asarray(softmax(np.insert(odds_log_odds, 1, 0.0, axis=1), axis=1))
