"""Models that are trained and logged to the registry. They turn model input into probabilities of home, draw, away.

Logged models store the import paths of the classes in `TRUSTED_TYPES`, so these paths must not change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.blend import RatingBlend
from features.errors import InvalidInputError
from features.leak_alarm import check_leakage
from features.matches import OUTCOMES, outcomes
from features.matrix import ODDS_FEATURES, SYSTEMS
from features.metrics import base_rate
from features.odds import CLOSING_ODDS, shin
from features.pool import OddsPool
from features.splits import walk_forward

Floats = NDArray[np.float64]


REGULARISATION = 0.01
"""Inverse strength of the L2 penalty, chosen by `features.tuning` on five leagues. With one season of training
data, forecasts are too cautious. With two or more, it beats weaker penalties, also for a single league."""

Classifier = RatingBlend | OddsPool
"""A model that is fitted and logged."""

TRUSTED_TYPES = ("features.blend.RatingBlend", "features.ordinal.OrderedLogit", "features.pool.OddsPool")
"""Classes of this package inside a logged model; skops loads only trusted types."""


def outcome_model(
    regularisation: float = REGULARISATION, seed: int = 0, features: Sequence[str] | None = None, blend: bool = False
) -> Classifier:
    """Create an unfitted model of the ratings, pooled with odds if `features` has odds; classes 0 home, 1 draw, 2 away.

    Parameters
    ----------
    regularisation : inverse strength C of the L2 penalty.
    seed : unused; reserved for estimators with a random component.
    features : names of the columns; required for `blend` and odds.
    blend : fit one logit for each rating system and pool them with equal weights, instead of a single logit. Systems
        that were tuned together forecast better in a single logit (see the back-test).
    """
    del seed
    names = [] if features is None else list(features)
    groups = groups_of([name for name in names if name not in ODDS_FEATURES]) if blend and names else None
    odds_columns = [names.index(name) for name in ODDS_FEATURES if name in names]
    return OddsPool(odds_columns, groups, regularisation) if odds_columns else RatingBlend(groups, regularisation)


def reference_model() -> RatingBlend:
    """Create the plain-Elo baseline: one feature, a weak penalty."""
    return RatingBlend(C=1.0)


def groups_of(features: Sequence[str]) -> list[list[int]]:
    """Return the column numbers of each rating system among `features`."""
    systems = [[features.index(name) for name in system if name in features] for system in SYSTEMS.values()]
    groups = [columns for columns in systems if columns]
    rest = sorted(set(range(len(features))) - {column for columns in groups for column in columns})
    return [*groups, rest] if rest else groups


def walk_forward_forecasts(
    matches: pd.DataFrame,
    x: Floats,
    elo_column: int,
    first: int,
    build_model: Callable[[], Classifier] = outcome_model,
) -> pd.DataFrame:
    """Forecast every played match from season `first` on, out of sample, with the model and both baselines.

    Parameters
    ----------
    matches : played matches, n rows, in the row order of `x`. Their closing odds, if known, are the limit of the
        leakage check: no model without leakage beats them.
    x : (n, n_features) model input, including the plain Elo.
    first : year in which the first forecast season begins.
    elo_column : column of `x` that is the only feature of the plain-Elo baseline; the model gets all others.
    build_model : creates the unfitted model, which is refit before each season.

    Returns
    -------
    DataFrame with match_id, season, outcome and `{model,elo,base}_{home,draw,away}`, one row for each forecast match.

    Raises
    ------
    LeakageError
        If the model scores implausibly well: see `features.leak_alarm`.
    InvalidInputError
        If no forecast season has earlier seasons to learn from.
    """
    y = outcomes(matches)
    model_x = np.delete(x, elo_column, axis=1)
    closing = shin(matches.reindex(columns=list(CLOSING_ODDS)).to_numpy(float))
    parts, tested = [], []
    for _, train, test in walk_forward(matches, first):
        elo = x[:, [elo_column]]
        forecasts = {
            "model": build_model().fit(model_x[train], y[train]).predict_proba(model_x[test]),
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
        raise InvalidInputError(f"no season from {first} on has earlier seasons to learn from")
    all_forecasts = pd.concat(parts, ignore_index=True)
    model = all_forecasts[[f"model_{outcome}" for outcome in OUTCOMES]].to_numpy(float)
    check_leakage(model, all_forecasts["outcome"].to_numpy(np.int64), closing[np.concatenate(tested)])
    return all_forecasts
