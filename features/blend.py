"""Ordered logits of rating systems, blended with equal weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from features.ordinal import OrderedLogit

Floats = NDArray[np.float64]


class RatingBlend(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Normalised geometric mean of ordered logits, one for each group of columns.

    This is a logarithmic opinion pool (Genest & Zidek 1986).

    Equal weights need no fit and limit the damage when one rating system has a bad season. The log-odds of the blend
    are the mean of the members' log-odds, so `features.explanations` can compute each system's share in a forecast.

    Parameters
    ----------
    groups : column numbers of each member; None for a single member with all columns.
    C : inverse strength of the L2 penalty of each member, on standardised columns.

    Attributes
    ----------
    classes_ : (n_classes,) in ascending order.
    members_ : fitted pipelines of scaler and ordered logit, one for each group.
    """

    n_features_in_: int

    def __init__(self, groups: Sequence[Sequence[int]] | None = None, C: float = 0.1) -> None:
        self.groups = groups
        self.C = C

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit all members on finite input (n, n_features) and ordered labels (n,)."""
        x, labels = validate_data(self, X, y)
        groups = self._columns(x.shape[1])
        self.members_ = [
            Pipeline([("scale", StandardScaler()), ("logit", OrderedLogit(self.C, own_direction=True))]).fit(
                x[:, group], labels
            )
            for group in groups
        ]
        self.classes_ = self.members_[0].classes_
        return self

    def fit_towards(self, prior: RatingBlend, X: ArrayLike, y: ArrayLike, C: float) -> Self:
        """Fit all members towards those of `prior`, see `features.ordinal.OrderedLogit.fit_towards`.

        Columns are standardised as those of `prior`: the spread of few rows is unreliable.

        Parameters
        ----------
        prior : fitted with the same groups on other data.
        X, y : finite input (n, n_features) and labels (n,); n may be 0.
        C : inverse strength of the pull.
        """
        x = np.asarray(X, float).reshape(-1, prior.n_features_in_)
        self.groups, self.n_features_in_ = prior.groups, prior.n_features_in_
        self.members_ = []
        for member, group in zip(prior.members_, self._columns(x.shape[1]), strict=True):
            scale, logit = member["scale"], member["logit"]
            standardised = (x[:, group] - scale.mean_) / scale.scale_
            fitted = OrderedLogit(self.C, own_direction=True).fit_towards(logit, standardised, y, C)
            self.members_.append(Pipeline([("scale", scale), ("logit", fitted)]))
        self.classes_ = prior.classes_
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Predict probabilities (n, n_classes) in the order of `classes_`."""
        return self._predict_proba_unchecked(self._checked(X))

    def _predict_proba_unchecked(self, x: Floats) -> Floats:
        """Predict for finite input (n > 0, n_features) without validation, which doubles the time for one row."""
        p = np.exp(self._members(x).mean(axis=0))  # members are clipped at 1e-300, so the sum is never 0
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """Predict the most likely class (n,) of each row."""
        p = self.predict_proba(X)
        return np.asarray(self.classes_[p.argmax(axis=1)])

    def member_log_probabilities(self, X: ArrayLike) -> Floats:
        """Return the log probabilities (n_members, n, n_classes) of the single members."""
        return self._members(self._checked(X))

    def _checked(self, X: ArrayLike) -> Floats:
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, reset=False))

    def _members(self, x: Floats) -> Floats:
        groups = self._columns(x.shape[1])
        members = []
        for member, group in zip(self.members_, groups, strict=True):
            scale = member["scale"]
            members.append(member["logit"]._predict_proba_unchecked((x[:, group] - scale.mean_) / scale.scale_))
        return np.log(np.maximum(members, 1e-300))

    def __sklearn_tags__(self) -> Tags:
        """Allow a poor score in scikit-learn's checks: their classes have no order, but this model needs one."""
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _columns(self, width: int) -> list[list[int]]:
        return [list(group) for group in self.groups] if self.groups is not None else [list(range(width))]
