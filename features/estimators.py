"""Ratings and head together as one scikit-learn classifier, for notebooks and comparisons.

The platform keeps its parts separately: ratings move with every result, the head is trained once a week.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from features.forecasts import probabilities, states_of
from features.matches import outcomes
from features.matrix import FEATURES, GOAL_FEATURES, model_input
from features.models import REGULARISATION, Classifier, outcome_model
from features.odds import market
from features.rating_history import STATE_COLUMNS, compute_ratings
from features.ratings.params import RatingParams
from features.splits import after_burn_in

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Head:
    """A fitted head with the names of its columns, as the registry gives it."""

    features: tuple[str, ...]
    head: Classifier

    def predict_proba(self, x: Floats) -> Floats:
        return self.head.predict_proba(x)


class RatedOutcomes(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learn from played matches, forecast fixtures: both are matches tables, columns of `features.matches.SCHEMA`.

    Of scikit-learn's checks those of parameters, cloning and tags apply; the others feed matrices of numbers.

    Parameters
    ----------
    features : columns of the model input that the head gets.
    C : inverse strength of the head's penalty.
    blend : one head a rating system, pooled.
    params : parameters of the ratings, default those that the back-test chose.

    Attributes
    ----------
    classes_ : home, draw, away as 0, 1, 2.
    head_ : the fitted head.
    team_states_ : each club's state after the last match.
    """

    def __init__(
        self,
        features: Sequence[str] = GOAL_FEATURES,
        C: float = REGULARISATION,
        blend: bool = False,
        params: RatingParams | None = None,
    ) -> None:
        self.features = features
        self.C = C
        self.blend = blend
        self.params = params

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Fit on played matches; their scores are the target, so `y` is not looked at."""
        del y
        run, rows, own = (
            compute_ratings(X, self.params),
            after_burn_in(X),
            [FEATURES.index(name) for name in self.features],
        )
        x = model_input(run.home, run.away, X["neutral"].to_numpy(bool), market(X))[:, own]
        self.head_ = outcome_model(self.C, features=self.features, blend=self.blend).fit(x[rows], outcomes(X[rows]))
        self.classes_ = self.head_.classes_
        self.team_states_ = run.team_states
        return self

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Probabilities (n, 3) of home, draw, away, from what stood after the last match of the fit."""
        check_is_fitted(self)
        home, away = (
            states_of(self.team_states_, X[side], X["competition"])[list(STATE_COLUMNS)].to_numpy(float)
            for side in ("home_team", "away_team")
        )
        head = _Head(tuple(self.features), self.head_)
        return probabilities(head, home, away, X["neutral"].to_numpy(bool), market(X))

    def predict(self, X: pd.DataFrame) -> NDArray[np.int64]:
        """The most likely outcome of each match (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)], dtype=np.int64)
