"""Models that are trained and logged to the registry. They turn model input into probabilities of home, draw, away.

Logged models store the import paths of the classes in `TRUSTED_TYPES`, so these paths must not change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from features.blend import RatingBlend
from features.coverage_heads import CoverageHeads
from features.errors import InvalidInputError
from features.honest_forecasts import honest_forecasts
from features.leak_alarm import check_leakage
from features.matches import ODDS, OUTCOMES, outcomes
from features.matrix import COVERAGE_FEATURES, MARKET_FEATURES, ODDS_FEATURES, SHOT_FEATURES, SYSTEMS
from features.metrics import base_rate
from features.odds import CLOSING_ODDS, shin
from features.pool import OddsPool
from features.splits import walk_forward

Floats = NDArray[np.float64]


REGULARISATION = 0.01
"""Inverse strength of the L2 penalty, chosen by `features.tuning` on five leagues. With one season of training
data, forecasts are too cautious. With two or more, it beats weaker penalties, also for a single league."""

PULL = 0.01
"""Inverse strength of the pull of a head of few matches towards that of the bundled league (`features.prior_head`), on
standardised ratings. In leagues of ten clubs, cut out of real ones, values from .001 to .01 do not differ
significantly (`python -m tests.benchmarks.newcomers`); .01 lets a league that differs move its head soonest."""


class Classifier(Protocol):
    """A model that is fitted and logged: one of `outcome_model`, or that of a recipe (`features.recipes`)."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on model input (n, n_features) and labels (n,): 0 home, 1 draw, 2 away."""
        ...

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Predict probabilities (n, 3), ordered home, draw, away."""
        ...


TRUSTED_TYPES = (
    "features.blend.RatingBlend",
    "features.coverage_heads.CoverageHeads",
    "features.ordinal.OrderedLogit",
    "features.pool.OddsPool",
)
"""Classes of this package inside a logged model; skops loads only trusted types."""


def outcome_model(
    regularisation: float = REGULARISATION, seed: int = 0, features: Sequence[str] | None = None, blend: bool = False
) -> RatingBlend | CoverageHeads | OddsPool:
    """Create an unfitted model of the ratings, pooled with odds if `features` has odds; classes 0 home, 1 draw, 2 away.

    Parameters
    ----------
    regularisation : inverse strength C of the L2 penalty.
    seed : unused; reserved for estimators with a random component.
    features : names of the columns; required for `blend` and odds, and to heed which ratings rest on data.
    blend : fit one logit for each rating system and pool them with equal weights, instead of a single logit. Systems
        that were tuned together forecast better in a single logit (see the back-test).

    Raises
    ------
    InvalidInputError
        If `regularisation` is not a finite number above 0: a negative penalty would reward large coefficients.
    """
    del seed
    if not (np.isfinite(regularisation) and regularisation > 0):
        raise InvalidInputError(f"regularisation is {regularisation}; it must be a finite number above 0")
    names = [] if features is None else list(features)
    rated = [name for name in names if name not in ODDS_FEATURES]
    groups = groups_of(rated) if blend and names else None
    ratings = _ratings_model(rated, groups, regularisation)
    odds_columns = [names.index(name) for name in ODDS_FEATURES if name in names]
    return OddsPool(odds_columns, ratings) if odds_columns else ratings


def _ratings_model(
    names: Sequence[str], groups: list[list[int]] | None, regularisation: float
) -> RatingBlend | CoverageHeads:
    """Create a model of the ratings, with a head for each coverage if the columns tell it."""
    if set(COVERAGE_FEATURES).isdisjoint(names):
        return RatingBlend(groups, regularisation)
    shots, market = (
        [names.index(name) for name in features if name in names] for features in (SHOT_FEATURES, MARKET_FEATURES)
    )
    matches_with_shots, variance_market = (names.index(name) if name in names else None for name in COVERAGE_FEATURES)
    return CoverageHeads(shots, market, matches_with_shots, variance_market, groups, regularisation)


def reference_model() -> RatingBlend:
    """Create the plain-Elo baseline: one feature, a weak penalty."""
    return RatingBlend(C=1.0)


def groups_of(features: Sequence[str]) -> list[list[int]]:
    """Return the column numbers of each rating system among `features`; `COVERAGE_FEATURES` belong to none."""
    systems = [[features.index(name) for name in system if name in features] for system in SYSTEMS.values()]
    groups = [columns for columns in systems if columns]
    ratings = {column for column, name in enumerate(features) if name not in COVERAGE_FEATURES}
    rest = sorted(ratings - {column for columns in groups for column in columns})
    return [*groups, rest] if rest else groups


def fit_model(model: Classifier, x: Floats, y: NDArray[np.int64], prior: RatingBlend | None = None) -> Classifier:
    """Fit a model, towards a prior head if there is one.

    Parameters
    ----------
    model : unfitted. Only `RatingBlend` has a prior: the bundled league has no odds, and a recipe's model is its own.
    x, y : (n, n_features) model input and (n,) labels; n may be 0 if there is a prior.
    prior : head of another league, see `features.prior_head`.
    """
    if prior is None or not isinstance(model, RatingBlend):
        return model.fit(x, y)
    return model.fit_towards(prior, x, y, PULL)


def walk_forward_forecasts(
    matches: pd.DataFrame,
    x: Floats,
    elo_column: int,
    first: int,
    build_model: Callable[[], Classifier] = outcome_model,
    prior_of: Callable[[int, pd.Timestamp], RatingBlend | None] | None = None,
) -> pd.DataFrame:
    """Forecast every played match from season `first` on, out of sample, with the model and both baselines.

    Seasons before which not all three outcomes have occurred are left out, because the baselines cannot be fitted.

    Parameters
    ----------
    matches : played matches, n rows, in the row order of `x`. Their closing odds, if known, are the limit of the
        leakage check: no model without leakage beats them.
    x : (n, n_features) model input, including the plain Elo.
    first : year in which the first forecast season begins.
    elo_column : column of `x` that is the only feature of the plain-Elo baseline; the model gets all others.
    build_model : creates the unfitted model, which is refit before each season.
    prior_of : the head towards which a model of n training matches is shrunk, given n and the first kick-off of the
        season to forecast; None for no shrinkage.

    Returns
    -------
    DataFrame with match_id, season, outcome and `{model,elo,base}_{home,draw,away}`, one row for each forecast match;
    without rows if no season has earlier seasons to learn from.

    Raises
    ------
    LeakageError
        If the model scores implausibly well: see `features.leak_alarm`.
    """
    y = outcomes(matches)
    model_x = np.delete(x, elo_column, axis=1)
    closing = shin(matches.reindex(columns=list(CLOSING_ODDS)).to_numpy(float))
    parts, tested = [], []
    for _, train, test in walk_forward(matches, first):
        if len(np.unique(y[train])) < len(OUTCOMES):
            continue
        elo = x[:, [elo_column]]
        prior = prior_of(len(train), matches["kick_off"].iloc[test].min()) if prior_of else None
        forecasts = {
            "model": fit_model(build_model(), model_x[train], y[train], prior).predict_proba(model_x[test]),
            "elo": reference_model().fit(elo[train], y[train]).predict_proba(elo[test]),
            "base": np.tile(base_rate(y[train]), (len(test), 1)),
        }
        part = matches.iloc[test][["match_id", "season"]].assign(outcome=y[test])
        for name, p in forecasts.items():
            for column, outcome in enumerate(OUTCOMES):
                part[f"{name}_{outcome}"] = p[:, column]
        parts.append(part)
        tested.append(test)
    if not parts:
        names = [f"{name}_{outcome}" for name in ("model", "elo", "base") for outcome in OUTCOMES]
        empty = matches.iloc[:0][["match_id", "season"]].assign(outcome=y[:0])
        return empty.assign(**{name: np.zeros(0) for name in names})
    all_forecasts = pd.concat(parts, ignore_index=True)
    model = all_forecasts[[f"model_{outcome}" for outcome in OUTCOMES]].to_numpy(float)
    rows, honest = np.concatenate(tested), honest_forecasts(matches, first)
    odds = shin(matches.reindex(columns=list(ODDS)).to_numpy(float))
    check_leakage(model, y[rows], closing[rows], honest[rows] if honest is not None else None, odds[rows])
    return all_forecasts
