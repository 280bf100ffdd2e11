"""Recipes: models that an engineer brings, trained and judged by the same rules as the platform's own.

A recipe is published as an entry point of the group `touchline.recipes`, or named by `TOUCHLINE_RECIPES`; see
`features.io.installed_recipes`. The three below are examples that lose to the platform's model.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from features.boosting import OrdinalBoosting
from features.dixon_coles_outcome import DixonColesOutcome
from features.errors import InvalidInputError
from features.matches import OUTCOMES
from features.matrix import FEATURES, GOAL_FEATURES, ODDS_FEATURES
from features.models import TRUSTED_TYPES

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """A model to train: a factory and the columns that it learns from.

    Attributes
    ----------
    build : returns an unfitted scikit-learn classifier. It is fitted on (n, len(columns)) model input and the labels
        0 home, 1 draw, 2 away, and must predict probabilities (n, 3) in this order.
    columns : names of its input columns, from `features.matrix.FEATURES`. Those of `ODDS_FEATURES` are NaN for
        matches without odds.
    trusted_types : import paths of the types inside the fitted estimator, beside its own class, that skops does not
        trust by itself. A model is loaded only if all of its types are trusted.

    Raises
    ------
    InvalidInputError
        If a column is unknown or repeated, or if there is none.
    """

    build: Callable[[], Any]
    columns: tuple[str, ...]
    trusted_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise InvalidInputError(f"a recipe needs one or more columns, each once, but got {self.columns!r}")
        if unknown := sorted(set(self.columns) - set(FEATURES)):
            raise InvalidInputError(f"unknown columns {unknown}; a recipe may use {', '.join(FEATURES)}")

    def model_type(self) -> type[Any]:
        """Return the class of the estimator."""
        return type(self.build())

    def all_trusted_types(self) -> tuple[str, ...]:
        """Return `trusted_types` with the class of the estimator."""
        kind = self.model_type()
        return (f"{kind.__module__}.{kind.__qualname__}", *self.trusted_types)

    def revision(self) -> str:
        """Hash the source of the modules that hold the factory and the class of the estimator."""
        names = sorted({str(getattr(self.build, "__module__", "")), self.model_type().__module__})
        digest = hashlib.sha256()
        for name in names:
            try:
                source = inspect.getsource(sys.modules[name])
            except (KeyError, OSError, TypeError):  # compiled, or typed at a prompt
                source = ""
            digest.update(f"{name}\n{source}\n".encode())
        return digest.hexdigest()[:16]

    def check_fitted(self, estimator: Any, x: Floats) -> None:
        """Predict with a fitted estimator of this recipe.

        Parameters
        ----------
        x : (n, len(columns)) model input, n > 0.

        Raises
        ------
        InvalidInputError
            If it does not predict three probabilities for each row, also without odds and for a single row.
        """
        without_odds = x[:1].copy()
        without_odds[:, [name in ODDS_FEATURES for name in self.columns]] = np.nan
        for rows in (x, without_odds):
            try:
                p = np.asarray(estimator.predict_proba(rows), dtype=float)
            except Exception as error:  # whatever the engineer's code raises
                raise InvalidInputError(f"the recipe's model cannot predict: {error!r}"[:300]) from error
            if p.shape != (len(rows), len(OUTCOMES)) or not np.allclose(p.sum(axis=1), 1) or not (p >= 0).all():
                raise InvalidInputError(
                    f"the recipe's model must predict three probabilities per match, but gave {p[:1].tolist()}"
                )


class SubmittedTypes:
    """What a submitted model may consist of: types of scikit-learn that skops trusts, and those of this package.

    Every process has their code, so such a model needs no recipe to be loaded.
    """

    def model_type(self) -> type[Any]:
        """Return the base class of the estimator."""
        return BaseEstimator  # type: ignore[no-any-return]  # scikit-learn has no types

    def all_trusted_types(self) -> tuple[str, ...]:
        """Return the types of this package; skops trusts those of scikit-learn by itself."""
        return TRUSTED_TYPES


@dataclass(frozen=True)
class SubmittedRecipe(SubmittedTypes, Recipe):
    """Recipe of an estimator that was submitted to the pipeline (`features.api.submit`).

    Attributes
    ----------
    digest : identifies the unfitted estimator; equal parameters give the same one.
    """

    digest: str = ""

    def revision(self) -> str:
        """Return `digest`."""
        return self.digest


def _gradient_boosting() -> OrdinalBoosting:
    directions = {name: -1 if name.startswith("log_away") else 1 for name in GOAL_FEATURES}
    return OrdinalBoosting([directions[name] for name in GOAL_FEATURES])


def _multinomial_logit() -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("logit", LogisticRegression(C=0.01))])


BUILT_IN = {
    "gradient_boosting": Recipe(
        _gradient_boosting, GOAL_FEATURES, ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
    ),
    "multinomial_logit": Recipe(_multinomial_logit, GOAL_FEATURES),
    "dixon_coles": Recipe(DixonColesOutcome, ("log_home_goals", "log_away_goals")),
}
"""Examples by name."""
