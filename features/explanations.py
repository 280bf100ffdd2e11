"""Why a forecast is what it is: each rating system's share in the log-odds of a home win against an away win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.blend import RatingBlend
from features.matrix import SYSTEMS
from features.pool import OddsPool

Floats = NDArray[np.float64]

ODDS = "odds"
"""The share of the odds before the match, beside those of the rating systems."""

_SYSTEM = {feature: system for system, features in SYSTEMS.items() for feature in features}


@dataclass(frozen=True)
class Explanation:
    """log(P(home) / P(away)) = `average` + the sum of `contributions`.

    Attributes
    ----------
    average : log-odds of a match between two clubs with the average values of the training matches.
    contributions : by rating system, how far its ratings of these two clubs move the log-odds from there; so too the
        odds.
    log_odds : of the forecast.
    """

    average: float
    contributions: dict[str, float]
    log_odds: float


def explain(model: RatingBlend | OddsPool, x: Floats, features: Sequence[str]) -> list[Explanation]:
    """One explanation a row of model input (n, n_features), whose columns are `features`."""
    return _of_pool(model, x, features) if isinstance(model, OddsPool) else _of_blend(model, x, features)


def _of_pool(model: OddsPool, x: Floats, features: Sequence[str]) -> list[Explanation]:
    """The log-odds of a pool are a weighted sum of those of its two parts, and so are the shares."""
    told, own = model.parts(x)
    names = [name for column, name in enumerate(features) if column not in (model.odds or ())]
    by_ratings, priced = _of_blend(model.ratings_, own, names), model.uses_columns(told)
    said, usual = told[:, 0] - told[:, 1], float(model.usual_[0] - model.usual_[1])
    of_odds, of_ratings = (float(weight) for weight in model.weights_)
    return [
        Explanation(
            average=of_ratings * one.average + of_odds * usual,
            contributions={system: of_ratings * share for system, share in one.contributions.items()}
            | {ODDS: of_odds * (float(said[row]) - usual)},
            log_odds=of_ratings * one.log_odds + of_odds * float(said[row]),
        )
        if priced[row]
        else one
        for row, one in enumerate(by_ratings)
    ]


def _of_blend(model: RatingBlend, x: Floats, features: Sequence[str]) -> list[Explanation]:
    """The shares of the rating systems.

    A member's move is divided among its systems by integrated gradients (Sundararajan et al. 2017): it depends on one
    weighted sum of its columns, so each column's part is its part in that sum.
    """
    groups = model.groups if model.groups is not None else [list(range(len(features)))]
    mean_row = np.zeros((1, x.shape[1]))
    for member, group in zip(model.members_, groups, strict=True):
        mean_row[0, list(group)] = member["scale"].mean_
    odds, usual = _log_odds(model, x), _log_odds(model, mean_row)
    shares: dict[str, Floats] = {}
    for number, (member, group) in enumerate(zip(model.members_, groups, strict=True)):
        scale = member["scale"]
        pulls = (x[:, list(group)] - scale.mean_) / scale.scale_ * member["logit"].coef_
        together = pulls.sum(axis=1)
        far = np.abs(together) > 1e-12  # from the average row, where nothing moves
        slope = np.where(far, (odds[number] - usual[number]) / np.where(far, together, 1.0), 0.0)
        for column, pull in zip(group, pulls.T, strict=True):
            system = _SYSTEM.get(features[column], features[column])
            shares[system] = shares.get(system, 0.0) + slope * pull
    return [
        Explanation(
            average=float(usual.sum()),
            contributions={system: float(moves[row]) for system, moves in shares.items()},
            log_odds=float(odds[:, row].sum()),
        )
        for row in range(len(x))
    ]


def of_both_orders(there: Explanation, back: Explanation) -> Explanation:
    """What moved a forecast on neutral ground: half the difference between one order of the clubs and the other."""
    return Explanation(
        average=(there.average - back.average) / 2,
        contributions={
            system: (share - back.contributions[system]) / 2 for system, share in there.contributions.items()
        },
        log_odds=(there.log_odds - back.log_odds) / 2,
    )


def _log_odds(model: RatingBlend, x: Floats) -> Floats:
    """What each member adds to the blend's log-odds of home against away, (n_members, n)."""
    members = model.member_log_probabilities(x)
    return np.asarray((members[:, :, 0] - members[:, :, -1]) / len(members))
