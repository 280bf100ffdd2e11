"""Gradient boosting of ordered classes, with the direction in which each column may act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

Floats = NDArray[np.float64]

MIN_PROBABILITY = 1e-6
"""Lowest probability of a class: the trees of two thresholds may leave nothing between them."""


class OrdinalBoosting(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Boosted trees for P(class <= k), one ensemble for each threshold k (Frank & Hall 2001).

    scikit-learn has monotone constraints for two classes only. Two thresholds, home against the rest and away against
    the rest, give three ordered classes, and a constraint on both is one on the forecast: where an ensemble of a higher
    threshold falls below that of a lower one, it is raised to it, which keeps the direction.

    Parameters
    ----------
    directions : for each column, 1 if a higher value favours the first class, -1 if the last, 0 for no constraint;
        None for no constraints.
    learning_rate, max_iter, max_leaf_nodes, min_samples_leaf, l2_regularization : as in
        `HistGradientBoostingClassifier`. The defaults regularise strongly, because single matches are mostly chance.

    Attributes
    ----------
    classes_ : (n_classes,) in ascending order.
    members_ : fitted ensembles, one for each threshold.
    n_iter_ : (n_classes - 1,) number of trees of each.
    """

    def __init__(
        self,
        directions: Sequence[int] | None = None,
        learning_rate: float = 0.05,
        max_iter: int = 80,
        max_leaf_nodes: int = 6,
        min_samples_leaf: int = 100,
        l2_regularization: float = 10.0,
    ) -> None:
        self.directions = directions
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on input (n, n_features), which may have NaN, and ordered labels (n,).

        Raises
        ------
        ValueError
            If `y` has fewer than two classes, or the input is not valid.
        """
        x, labels = validate_data(self, X, y, ensure_all_finite="allow-nan")
        check_classification_targets(labels)
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"OrdinalBoosting needs at least two classes, but y has one class: {self.classes_[0]!r}")
        self.members_ = [self._member().fit(x, index <= threshold) for threshold in range(len(self.classes_) - 1)]
        self.n_iter_ = np.array([member.n_iter_ for member in self.members_])
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Predict probabilities (n, n_classes) in the order of `classes_`."""
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        below = np.column_stack([member.predict_proba(x)[:, 1] for member in self.members_])
        below = np.maximum.accumulate(below, axis=1)
        edges = np.hstack([np.zeros((len(x), 1)), below, np.ones((len(x), 1))])
        p = np.maximum(np.diff(edges, axis=1), MIN_PROBABILITY)
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """Predict the most likely class (n,) of each row."""
        p = self.predict_proba(X)
        return np.asarray(self.classes_[p.argmax(axis=1)])

    def _member(self) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=self.max_iter,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            monotonic_cst=None if self.directions is None else list(self.directions),
            early_stopping=False,  # it would hold out matches at random, not the latest ones
            random_state=0,
        )

    def __sklearn_tags__(self) -> Tags:
        """Allow NaN, and a poor score in scikit-learn's checks: their classes have no order."""
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        tags.input_tags.allow_nan = True
        return tags
