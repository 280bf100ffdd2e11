"""Ordered logit: a linear score with thresholds between ordered classes (McCullagh 1980)."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

Floats = NDArray[np.float64]


class OrderedLogit(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Proportional-odds model: P(class <= k) = sigmoid(threshold_k + x @ coef), with the same `coef` for all classes.

    With the classes home, draw, away, a higher score always moves probability towards home.

    Parameters
    ----------
    C : inverse strength of the L2 penalty on the coefficients, as in `LogisticRegression`.
    max_iter : maximum number of iterations of the optimiser.
    own_direction : require each feature to act in the direction of its own correlation with the outcome. The
        ratings of a club are strongly correlated: without the constraint, some act in the opposite direction, and a
        better rating lowers the forecast.

    Attributes
    ----------
    classes_ : (n_classes,) in ascending order.
    coef_ : (n_features,)
    thresholds_ : (n_classes - 1,) ascending.
    n_iter_ : number of iterations of the optimiser, at least 1.
    """

    def __init__(self, C: float = 1.0, max_iter: int = 1000, own_direction: bool = False) -> None:
        self.C = C
        self.max_iter = max_iter
        self.own_direction = own_direction

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on finite input (n, n_features) and ordered labels (n,).

        Raises
        ------
        ValueError
            If `y` has fewer than two classes, `C` is not a finite number above 0, or the input is not valid.
        """
        if not (np.isfinite(self.C) and self.C > 0):
            raise ValueError(f"OrderedLogit needs a finite C above 0, but C is {self.C!r}")
        x, labels = validate_data(self, X, y)
        check_classification_targets(labels)
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"OrderedLogit needs at least two classes, but y has one class: {self.classes_[0]!r}")
        share = np.cumsum(np.bincount(index))[:-1] / len(index)
        start = np.concatenate([_raw(np.log(share / (1 - share))), np.zeros(x.shape[1])])
        # higher values favour the first class
        positive = (x - x.mean(axis=0)).T @ (index - index.mean()) <= 0 if self.own_direction else None
        return self._minimise(x, index, start, positive, _Penalty(np.zeros(x.shape[1]), self.C))

    def fit_towards(self, prior: OrderedLogit, X: ArrayLike, y: ArrayLike, C: float) -> Self:
        """Fit with a penalty that pulls thresholds and coefficients towards those of `prior`, instead of to zero.

        This is the maximum a posteriori estimate under a normal prior around `prior` with variance C. The fewer rows
        there are, the closer the result is to `prior`; without rows, it is equal to it.

        Parameters
        ----------
        prior : fitted on other data, with the same columns; its classes include all of `y`.
        X, y : finite input (n, n_features) in the units of the prior's input, and labels (n,); n may be 0.
        C : inverse strength of the pull.

        Raises
        ------
        ValueError
            If `X` has other columns than the prior, or `y` a class that the prior does not know.
        """
        x, labels = np.asarray(X, float).reshape(-1, len(prior.coef_)), np.asarray(y)
        if not np.isin(labels, prior.classes_).all():
            raise ValueError(f"the prior knows the classes {prior.classes_.tolist()} only")
        self.classes_, self.n_features_in_ = prior.classes_, x.shape[1]
        index = np.searchsorted(self.classes_, labels)
        cuts = _raw(prior.thresholds_)
        start = np.concatenate([cuts, prior.coef_])
        positive = prior.coef_ >= 0 if self.own_direction else None
        return self._minimise(x, index, start, positive, _Penalty(prior.coef_, C, cuts))

    def _minimise(
        self, x: Floats, index: NDArray[np.int64], start: Floats, positive: NDArray[np.bool_] | None, penalty: _Penalty
    ) -> Self:
        cuts = len(start) - x.shape[1]
        limits: list[tuple[float, float]] = [(-np.inf, np.inf)] * len(start)
        if positive is not None:
            limits[cuts:] = [(0.0, np.inf) if is_positive else (-np.inf, 0.0) for is_positive in positive]
        result = minimize(
            _loss,
            start,
            args=(x, index, penalty),
            jac=True,
            method="L-BFGS-B",
            bounds=limits,
            options={"maxiter": self.max_iter},
        )
        self.thresholds_ = _ascending(result.x[:cuts])
        self.coef_ = result.x[cuts:]
        self.n_iter_ = max(int(result.nit), 1)
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Predict probabilities (n, n_classes) in the order of `classes_`."""
        check_is_fitted(self)
        return self._predict_proba_unchecked(validate_data(self, X, reset=False))

    def _predict_proba_unchecked(self, x: Floats) -> Floats:
        """Predict without validating the input: validation takes longer than the formula."""
        below = expit(self.thresholds_ + (x @ self.coef_)[:, None])
        edges = np.hstack([np.zeros((len(x), 1)), below, np.ones((len(x), 1))])
        return np.asarray(np.diff(edges, axis=1))

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """Predict the most likely class (n,) of each row."""
        p = self.predict_proba(X)
        return np.asarray(self.classes_[p.argmax(axis=1)])

    def __sklearn_tags__(self) -> Tags:
        """Allow a poor score in scikit-learn's checks: their classes have no order, but this model needs one."""
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class _Penalty(NamedTuple):
    """Normal prior of the coefficients around `centre` with variance `c`, and of the raw thresholds around `cuts`."""

    centre: Floats
    c: float
    cuts: Floats | None = None


def _raw(thresholds: Floats) -> Floats:
    """Compute the first threshold and the logs of the gaps, the inverse of `_ascending`."""
    return np.concatenate([thresholds[:1], np.log(np.diff(thresholds))])


def _ascending(raw: Floats) -> Floats:
    """Compute the thresholds from the first threshold and the logs of the gaps."""
    return np.asarray(np.cumsum(np.concatenate([raw[:1], np.exp(raw[1:])])))


def _loss(raw: Floats, x: Floats, index: NDArray[np.int64], penalty: _Penalty) -> tuple[float, Floats]:
    """Compute the penalised negative log likelihood and its gradient (first threshold, log gaps, coefficients)."""
    n_cuts = len(raw) - x.shape[1]
    thresholds, coef = _ascending(raw[:n_cuts]), raw[n_cuts:]
    shift = coef - penalty.centre
    padded = np.concatenate([[-np.inf], thresholds, [np.inf]])
    score = x @ coef
    upper, lower = expit(padded[index + 1] + score), expit(padded[index] + score)
    p = np.maximum(upper - lower, 1e-300)
    slope_upper, slope_lower = upper * (1 - upper) / p, lower * (1 - lower) / p
    by_cut = np.zeros(n_cuts + 2)
    np.add.at(by_cut, index + 1, -slope_upper)
    np.add.at(by_cut, index, slope_lower)
    by_cut = by_cut[1:-1]
    gradient = np.concatenate(
        [
            [by_cut.sum()],
            [by_cut[k:].sum() * np.exp(raw[k]) for k in range(1, n_cuts)],
            x.T @ (slope_lower - slope_upper) + shift / penalty.c,
        ]
    )
    loss = float(-np.log(p).sum() + shift @ shift / (2 * penalty.c))
    if penalty.cuts is not None:
        cut_shift = raw[:n_cuts] - penalty.cuts
        loss += float(cut_shift @ cut_shift) / (2 * penalty.c)
        gradient[:n_cuts] += cut_shift / penalty.c
    return loss, gradient
