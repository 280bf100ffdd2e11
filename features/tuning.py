"""Choose the parameters of the rating systems on seasons before those reported.

Coordinate descent: one parameter after the other moves to its neighbours on a grid. All rating systems are judged
together, by the log loss of the model that is made of them: what serves the model best is not what serves each system
best by itself, they share the work (a slow one remembers, a fast one notices). Folds go forward in time: what is learnt
from earlier seasons is judged on later ones. A value is left only for one that is better by more than a share of the
paired difference's standard error: what is less is noise, and parameters that follow it forecast later seasons worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.competitions import tier_of
from features.matches import outcomes
from features.matrix import FEATURE_GROUPS, FEATURES, GOAL_FEATURES, FeatureGroup, model_input
from features.metrics import log_loss
from features.models import REGULARISATION, outcome_model
from features.rating_history import compute_ratings
from features.ratings.params import EloParams, GainParams, PiParams, PoissonParams, RatingParams
from features.splits import season_starts

Floats = NDArray[np.float64]

_SLOW = (0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03, 0.035)

GAIN = {
    "after_promotion": (0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
    "after_summer": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    "fade": (0.8, 0.85, 0.9, 0.95, 0.97),
}

# Elo's home advantage and the carry of pi end where such systems have been seen to work. Without these bounds the
# search goes on to no home advantage at all and a carry of 0.3 for .00002 in log loss; the Premier League of 2021 to
# 2025 is then forecast no better (log loss .9766 for .9765).
GRIDS: Mapping[str, Mapping[str, Sequence[float]]] = {
    "elo": {
        "k": (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 24),
        "gamma": (0.0, 0.25, 0.5, 0.75, 1.0),
        "promoted_offset": (-200, -175, -150, -125, -100, -75, -50, -30, -15, 0),
        "mean_reversion": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3),
        "home_advantage": (40, 50, 60, 70, 80),
    },
    "pi": {
        "rate": (0.02, 0.025, 0.03, 0.035, 0.04, 0.05, 0.06, 0.08, 0.1),
        "carry": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        "promoted_offset": (-0.4, -0.3, -0.2, -0.15, -0.1, -0.05, 0.0),
    },
    **{
        engine: {
            "rate": (*_SLOW, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25),
            "promoted_offset": (-0.3, -0.25, -0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1),
            "mean_reversion": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
            "division_rate": (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016),
        }
        for engine in ("poisson", "shots_on_target", "shots")
    },
    "gain": GAIN,
}

COLUMNS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("elo", "pi", "poisson", "gain"), GOAL_FEATURES),
    **dict.fromkeys(("shots_on_target", "shots"), FEATURE_GROUPS[FeatureGroup.SHOTS]),
}
"""Features of the model that evaluates each engine."""

PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Candidate inverse strengths of the penalty."""

_ON_TARGET = PoissonParams(
    rate=0.025, division_rate=0.002, level=1.45, home=0.2, promoted_offset=-0.15, mean_reversion=0.1
)
_SHOTS = PoissonParams(rate=0.015, division_rate=0.002, level=2.4, home=0.2, promoted_offset=-0.1, mean_reversion=0.2)
_NO_GAIN = GainParams(after_summer=0.0, after_promotion=0.0)

INITIAL_PARAMS = RatingParams(
    elo=EloParams(),
    pi=PiParams(),
    poisson=PoissonParams(),
    shots_on_target=_ON_TARGET,
    shots=_SHOTS,
    gain=_NO_GAIN,
)
"""Start of the search for a league without lower tiers: values from papers and earlier work."""

INITIAL_PARAMS_TIERED = RatingParams(
    elo=EloParams(k=6, home_advantage=60, promoted_offset=-30, mean_reversion=0.0, tier_step=100),
    pi=PiParams(rate=0.035, carry=0.9, promoted_offset=-0.1),
    poisson=PoissonParams(rate=0.02, division_rate=0.001, promoted_offset=-0.1, mean_reversion=0.1),
    shots_on_target=_ON_TARGET,
    shots=_SHOTS,
    gain=_NO_GAIN,
)
"""The same for tiers together."""


@dataclass(frozen=True)
class Choice:
    """Parameters, their log loss on the seasons they were chosen on, and how many matches those have."""

    params: RatingParams
    losses: Mapping[str, float]
    n: int
    evaluations: int


def evaluation_blocks(
    matches: pd.DataFrame, width: int = 1, skip: int = 2
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield (training rows, judged rows): blocks of `width` seasons forward in time, after `skip` seasons."""
    start = season_starts(matches["season"])
    first, last = int(start.min()), int(start.max())
    for begin in range(first + skip, last + 1, width):
        judged = (start >= begin) & (start < begin + width)
        yield np.flatnonzero((start > first) & (start < begin)), np.flatnonzero(judged)


def losses(
    matches: pd.DataFrame,
    params: RatingParams,
    columns: Sequence[str],
    width: int = 1,
    regularisation: float = REGULARISATION,
) -> Floats:
    """Log loss of each judged match of a top tier by the model on some features, forward in time."""
    run = compute_ratings(matches, params)
    x = model_input(run.home, run.away, matches["neutral"].to_numpy(bool))[:, [FEATURES.index(c) for c in columns]]
    top = matches["competition"].map(tier_of).eq(1).to_numpy()
    x, table = x[top], matches[top]
    y = outcomes(table)
    scores = [
        log_loss(outcome_model(regularisation).fit(x[train], y[train]).predict_proba(x[test]), y[test])
        for train, test in evaluation_blocks(table, width)
    ]
    return np.concatenate(scores)


def penalty(matches: pd.DataFrame, params: RatingParams, columns: Sequence[str]) -> dict[float, float]:
    """Mean log loss with each of `PENALTIES`, the head refit before each season."""
    return {one: float(losses(matches, params, columns, regularisation=one).mean()) for one in PENALTIES}


def choose(
    matches: pd.DataFrame,
    begin: RatingParams,
    engines: Sequence[str] = tuple(GRIDS),
    width: int = 1,
    caution: float = 1.0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Choice:
    """Tune the engines on played matches; give only seasons earlier than those to be reported.

    Parameters
    ----------
    matches : played matches of one or several competitions.
    begin : where the search begins, and the values of everything that is not tuned.
    width : seasons that are judged between two fits of the head.
    caution : standard errors that a gain must exceed; the more matches, the less of it is needed.
    on_progress : called with a line for each improvement.
    """
    params, reached, evaluations, best = begin, {}, 0, np.zeros(0)
    moved = True
    while moved:  # where one system went, the others may want to follow
        moved = False
        for engine in engines:
            best = losses(matches, params, COLUMNS[engine], width)
            for name, values in GRIDS[engine].items():
                for value in _neighbours(values, getattr(getattr(params, engine), name)):
                    tried = replace(params, **{engine: getattr(params, engine)._replace(**{name: value})})
                    found = losses(matches, tried, COLUMNS[engine], width)
                    evaluations += 1
                    if _significantly_better(found, best, caution):
                        params, best, moved = tried, found, True
                        on_progress(f"{engine}.{name} = {value}: log loss {best.mean():.5f}")
            reached[engine] = float(best.mean())
    return Choice(params, reached, len(best), evaluations)


def _significantly_better(found: Floats, best: Floats, caution: float) -> bool:
    gain = best - found
    return bool(gain.mean() > caution * gain.std(ddof=1) / np.sqrt(len(gain)))


def _neighbours(values: Sequence[float], now: float) -> list[float]:
    """The values of the grid next to the present one, on either side."""
    lower = [value for value in values if value < now]
    higher = [value for value in values if value > now]
    return lower[-1:] + higher[:1]
