"""Tuning of the rating systems' parameters on seasons before those that are reported.

Coordinate descent: one parameter at a time moves to a neighbouring value on a grid. All rating systems are evaluated
together, by the log loss of the model that combines them: the best parameters for the model differ from the best ones
for each system alone, because the systems complement each other (a slow one keeps old results, a fast one reacts to new
ones). Folds go forward in time: models learn from earlier seasons and are evaluated on later ones. A value changes only
if the gain exceeds a multiple of the paired difference's standard error: smaller gains are noise, and parameters fitted
to noise forecast later seasons worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.competitions import tier_of
from features.matches import decided_on_pitch, outcomes
from features.matrix import FEATURES, GOAL_FEATURES, SHOT_FEATURES, model_input
from features.metrics import log_loss
from features.models import REGULARISATION, outcome_model
from features.rating_history import compute_ratings
from features.ratings.params import EloParams, GainParams, PiParams, PoissonParams, RatingParams
from features.splits import season_starts

Floats = NDArray[np.float64]

_SLOW = (0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03, 0.035)

GAIN = {
    "after_absence": (0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
    "after_summer": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    "decay": (0.8, 0.85, 0.9, 0.95, 0.97),
}

# The grids of Elo's home advantage and of pi's carry are limited to values that are known to work. Without the limits
# the search moves to no home advantage and a carry of 0.3 for a gain of .00002 in log loss; forecasts of the Premier
# League 2021 to 2025 do not improve (log loss .9766 instead of .9765).
GRIDS: Mapping[str, Mapping[str, Sequence[float]]] = {
    "elo": {
        "k": (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 24),
        "gamma": (0.0, 0.25, 0.5, 0.75, 1.0),
        "promoted_offset": (-200, -175, -150, -125, -100, -75, -50, -30, -15, 0),
        "mean_reversion": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3),
        "home_advantage": (40, 50, 60, 70, 80),
    },
    "pi": {
        "learning_rate": (0.02, 0.025, 0.03, 0.035, 0.04, 0.05, 0.06, 0.08, 0.1),
        "carry": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        "promoted_offset": (-0.4, -0.3, -0.2, -0.15, -0.1, -0.05, 0.0),
    },
    **{
        engine: {
            "learning_rate": (*_SLOW, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25),
            "promoted_offset": (-0.3, -0.25, -0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1),
            "mean_reversion": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
            "division_learning_rate": (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016),
        }
        for engine in ("poisson", "shots_on_target", "shots")
    },
    "gain": GAIN,
}

COLUMNS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("elo", "pi", "poisson", "gain"), GOAL_FEATURES),
    **dict.fromkeys(("shots_on_target", "shots"), (*GOAL_FEATURES, *SHOT_FEATURES)),
}
"""Features of the model that evaluates each engine."""

PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Candidate inverse strengths of the penalty."""

_ON_TARGET = PoissonParams(
    learning_rate=0.025, division_learning_rate=0.002, level=1.45, home=0.2, promoted_offset=-0.15, mean_reversion=0.1
)
_SHOTS = PoissonParams(
    learning_rate=0.015, division_learning_rate=0.002, level=2.4, home=0.2, promoted_offset=-0.1, mean_reversion=0.2
)
_NO_GAIN = GainParams(after_summer=0.0, after_absence=0.0)

INITIAL_PARAMS = RatingParams(
    elo=EloParams(),
    pi=PiParams(),
    poisson=PoissonParams(),
    shots_on_target=_ON_TARGET,
    shots=_SHOTS,
    gain=_NO_GAIN,
)
"""Initial values of the search for a league without lower tiers, from papers and earlier work."""

INITIAL_PARAMS_MULTI_TIER = RatingParams(
    elo=EloParams(k=6, home_advantage=60, promoted_offset=-30, mean_reversion=0.0, tier_step=100),
    pi=PiParams(learning_rate=0.035, carry=0.9, promoted_offset=-0.1),
    poisson=PoissonParams(learning_rate=0.02, division_learning_rate=0.001, promoted_offset=-0.1, mean_reversion=0.1),
    shots_on_target=_ON_TARGET,
    shots=_SHOTS,
    gain=_NO_GAIN,
)
"""Initial values of the search for several tiers together."""


@dataclass(frozen=True)
class Choice:
    """Result of the search.

    Attributes
    ----------
    params : chosen parameters.
    losses : mean log loss by engine, on the seasons on which the parameters were chosen.
    n : number of evaluated matches.
    evaluations : number of evaluated parameter values.
    """

    params: RatingParams
    losses: Mapping[str, float]
    n: int
    evaluations: int


def evaluation_blocks(
    matches: pd.DataFrame, width: int = 1, skip: int = 2
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield (training rows, evaluated rows) of blocks of seasons, forward in time.

    The first season is never used for training, because ratings have not converged.

    Parameters
    ----------
    matches : played matches.
    width : number of seasons in a block.
    skip : number of seasons before the first block.
    """
    start = season_starts(matches["season"])
    first, last = int(start.min()), int(start.max())
    for begin in range(first + skip, last + 1, width):
        evaluated = (start >= begin) & (start < begin + width)
        yield np.flatnonzero((start > first) & (start < begin)), np.flatnonzero(evaluated)


def losses(
    matches: pd.DataFrame,
    params: RatingParams,
    columns: Sequence[str],
    width: int = 1,
    regularisation: float = REGULARISATION,
) -> Floats:
    """Compute the log loss of each evaluated first-tier match, forward in time.

    Parameters
    ----------
    matches : played matches; lower tiers only feed the ratings.
    params : parameters of the ratings.
    columns : features of the model.
    width : number of seasons in a block, see `evaluation_blocks`.
    regularisation : inverse strength of the L2 penalty.

    Returns
    -------
    Log losses (n_evaluated,), in block order.
    """
    run = compute_ratings(matches, params)
    x = model_input(run.home, run.away, matches["neutral"].to_numpy(bool))[
        :, [FEATURES.index(name) for name in columns]
    ]
    top = matches["competition"].map(tier_of).eq(1).to_numpy() & decided_on_pitch(matches)
    x, table = x[top], matches[top]
    y = outcomes(table)
    scores = [
        log_loss(outcome_model(regularisation).fit(x[train], y[train]).predict_proba(x[test]), y[test])
        for train, test in evaluation_blocks(table, width)
    ]
    return np.concatenate(scores)


def penalty(matches: pd.DataFrame, params: RatingParams, columns: Sequence[str]) -> dict[float, float]:
    """Compute the mean log loss with each of `PENALTIES`; the model is refit before each season."""
    return {c: float(losses(matches, params, columns, regularisation=c).mean()) for c in PENALTIES}


def choose(
    matches: pd.DataFrame,
    begin: RatingParams,
    engines: Sequence[str] = tuple(GRIDS),
    width: int = 1,
    caution: float = 1.0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Choice:
    """Tune rating engines on played matches.

    Parameters
    ----------
    matches : played matches of one or several competitions, only of seasons before those that are reported.
    begin : initial values of the search; parameters of other engines keep them.
    engines : names of the engines to tune, keys of `GRIDS`.
    width : number of seasons that are evaluated between two fits of the model.
    caution : number of standard errors that a gain must exceed; with more matches, a lower value is enough.
    on_progress : called with a line for each improvement.
    """
    params, mean_losses, evaluations, best = begin, {}, 0, np.zeros(0)
    improved = True
    while improved:  # a change of one system may make changes of the others worthwhile
        improved = False
        for engine in engines:
            best = losses(matches, params, COLUMNS[engine], width)
            for name, values in GRIDS[engine].items():
                for value in _neighbours(values, getattr(getattr(params, engine), name)):
                    candidate = replace(params, **{engine: getattr(params, engine)._replace(**{name: value})})
                    candidate_losses = losses(matches, candidate, COLUMNS[engine], width)
                    evaluations += 1
                    if _significantly_better(candidate_losses, best, caution):
                        params, best, improved = candidate, candidate_losses, True
                        on_progress(f"{engine}.{name} = {value}: log loss {best.mean():.5f}")
            mean_losses[engine] = float(best.mean())
    return Choice(params, mean_losses, len(best), evaluations)


def _significantly_better(candidate: Floats, best: Floats, caution: float) -> bool:
    gain = best - candidate
    return bool(gain.mean() > caution * gain.std(ddof=1) / np.sqrt(len(gain)))


def _neighbours(values: Sequence[float], current: float) -> list[float]:
    """Return the next lower and the next higher value of a grid."""
    lower = [value for value in values if value < current]
    higher = [value for value in values if value > current]
    return lower[-1:] + higher[:1]
