"""Model of the ratings with a head for each kind of data that both clubs have: goals alone, shots, past odds, or both.

A rating without data is a number like any other, so a single head would take it for knowledge: where no shots are
recorded, forecasts with the shot ratings would be worse than without. So each head is fitted on the matches, and used
for the matches, whose ratings rest on the data that it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from features.blend import RatingBlend

Floats = NDArray[np.float64]

MIN_MATCHES_OF_HEAD = 380
"""Minimum number of training matches of a head: a season of a league of twenty. With fewer, it is not fitted."""

MIN_RECENT_WITH_SHOTS = 1
"""Recent matches with shots that both clubs need, before a forecast uses their shot ratings. On first and second tiers
up to 2018/19, 1 is closer to the closing odds than 2, 3 or 6: a club that comes from a tier without shots starts with
the ratings that newcomers usually have, and those of its opponent are known."""

KNOWN_VARIANCE = 0.03
"""Up to this sum of the variances of both clubs' market ratings, a forecast uses them fully: some five matches with
odds into a season. Above it, their weight falls linearly."""
UNKNOWN_VARIANCE = 0.15
"""From this sum on, a forecast ignores the market ratings. At a season's first round, with odds of the season before
only, it is .167.

Both are chosen on first tiers from 2010/11 to 2018/19, by the cross-entropy to the closing odds: there, the best weight
of the head with market ratings is .95 at .034, .61 at .057, .27 at .105, and 0 from .167 on, also if odds have stopped.
"""

GOALS, SHOTS, MARKET = 0, 1, 2
"""Numbers of the heads; SHOTS + MARKET is the head of both."""


def market_weight(variance: Floats) -> Floats:
    """Compute the weight (n,) of the market ratings in the forecast, 0 to 1, from the sum of their variances (n,)."""
    return np.clip((UNKNOWN_VARIANCE - variance) / (UNKNOWN_VARIANCE - KNOWN_VARIANCE), 0.0, 1.0)


class CoverageHeads(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Blends of ratings, one for each coverage of a match.

    The columns that are not named below are ratings that every match has. The head with market ratings and the one
    without are pooled (Genest & Zidek 1986): the longer ago the odds, the less the former weighs.

    Parameters
    ----------
    shots, market : numbers of the columns with shot ratings, and of those with market ratings.
    matches_with_shots : number of the column with the lower number of recent matches with shots of both clubs; None
        without shot ratings.
    variance_market : number of the column with the sum of the variances of both clubs' market ratings; None without
        market ratings.
    groups : column numbers of each rating system, to blend one logit for each of them; None for a single logit.
    C : inverse strength of the L2 penalty of each logit, on standardised columns.

    Attributes
    ----------
    classes_ : (n_classes,) in ascending order.
    heads_ : four fitted `RatingBlend`: `GOALS`, `SHOTS`, `MARKET` and `SHOTS + MARKET`; None with too few matches.
    """

    n_features_in_: int

    def __init__(
        self,
        shots: Sequence[int] = (),
        market: Sequence[int] = (),
        matches_with_shots: int | None = None,
        variance_market: int | None = None,
        groups: Sequence[Sequence[int]] | None = None,
        C: float = 0.1,
    ) -> None:
        self.shots = shots
        self.market = market
        self.matches_with_shots = matches_with_shots
        self.variance_market = variance_market
        self.groups = groups
        self.C = C

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit all heads on finite input (n, n_features) and ordered labels (n,)."""
        x, labels = validate_data(self, X, y)
        has_shots, priced = self._has_shots(x), self._market_weight(x) == 1.0
        self.heads_: list[RatingBlend | None] = [self._fitted(GOALS, x, labels)]
        self.classes_ = self.heads_[0].classes_  # type: ignore[union-attr]  # this head is always fitted
        for head, rows in ((SHOTS, has_shots), (MARKET, priced), (SHOTS + MARKET, has_shots & priced)):
            enough = rows.sum() >= MIN_MATCHES_OF_HEAD and len(np.unique(labels[rows])) == len(self.classes_)
            self.heads_.append(self._fitted(head, x[rows], labels[rows]) if enough else None)
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Predict probabilities (n, n_classes) in the order of `classes_`."""
        check_is_fitted(self)
        return self._predict_proba_unchecked(validate_data(self, X, reset=False))

    def _predict_proba_unchecked(self, x: Floats) -> Floats:
        """Predict for finite input (n > 0, n_features) without validation, which doubles the time for one row."""
        weights = self.head_weights(x)
        log_p = np.zeros((len(x), len(self.classes_)))
        for number in np.flatnonzero(weights.any(axis=0)).tolist():
            rows, head = weights[:, number] > 0, self.heads_[number]
            assert head is not None
            p = head._predict_proba_unchecked(x[rows][:, self.columns(number)])
            log_p[rows] += weights[rows, number, None] * np.log(np.maximum(p, 1e-300))
        pooled = np.exp(log_p)
        return np.asarray(pooled / pooled.sum(axis=1, keepdims=True))

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """Predict the most likely class (n,) of each row."""
        p = self.predict_proba(X)
        return np.asarray(self.classes_[p.argmax(axis=1)])

    def head_weights(self, x: Floats) -> Floats:
        """Return the weights (n, 4) of the heads in the log-odds of each forecast; they sum to 1."""
        weights, rows = np.zeros((len(x), len(self.heads_))), np.arange(len(x))
        has_shots = self._has_shots(x).astype(int)
        without = has_shots * (self.heads_[SHOTS] is not None)
        priced = MARKET + has_shots * (self.heads_[SHOTS + MARKET] is not None)
        weight = self._market_weight(x) if self.heads_[MARKET] is not None else np.zeros(len(x))
        weights[rows, priced] = weight
        weights[rows, without] += 1.0 - weight
        return weights

    def columns(self, head: int) -> list[int]:
        """Return the numbers of the columns that a head uses."""
        left_out = {self.matches_with_shots, self.variance_market}
        left_out |= set() if head & SHOTS else set(self.shots)
        left_out |= set() if head & MARKET else set(self.market)
        return [column for column in range(self.n_features_in_) if column not in left_out]

    def _fitted(self, head: int, x: Floats, labels: NDArray[np.generic]) -> RatingBlend:
        columns = self.columns(head)
        within = [[columns.index(column) for column in group if column in columns] for group in self.groups or ()]
        groups = [group for group in within if group] if self.groups is not None else None
        return RatingBlend(groups, self.C).fit(x[:, columns], labels)

    def _has_shots(self, x: Floats) -> NDArray[np.bool_]:
        if self.matches_with_shots is None:
            return np.zeros(len(x), bool)
        return np.asarray(x[:, self.matches_with_shots] >= MIN_RECENT_WITH_SHOTS)

    def _market_weight(self, x: Floats) -> Floats:
        return np.zeros(len(x)) if self.variance_market is None else market_weight(x[:, self.variance_market])

    def __sklearn_tags__(self) -> Tags:
        """Allow a poor score in scikit-learn's checks: their classes have no order, but this model needs one."""
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags
