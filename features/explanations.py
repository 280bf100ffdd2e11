"""Explanations of forecasts: each rating system's contribution to the log-odds of a home win against an away win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.blend import RatingBlend
from features.coverage_heads import CoverageHeads
from features.matrix import SYSTEMS
from features.pool import OddsPool

Floats = NDArray[np.float64]

ODDS = "odds"
"""Key of the odds' contribution in `Explanation.contributions`."""

_SYSTEM = {feature: system for system, features in SYSTEMS.items() for feature in features}


@dataclass(frozen=True)
class Explanation:
    """Additive explanation of one forecast: log(P(home) / P(away)) = `baseline_log_odds` + the sum of `contributions`.

    Attributes
    ----------
    baseline_log_odds : log-odds of a match whose features all have the mean of the training matches.
    contributions : by rating system (and `ODDS`), how far its ratings of the two clubs move the log-odds from
        `baseline_log_odds`.
    log_odds : log(P(home) / P(away)) of the forecast.
    """

    baseline_log_odds: float
    contributions: dict[str, float]
    log_odds: float


def explain(model: RatingBlend | CoverageHeads | OddsPool, x: Floats, features: Sequence[str]) -> list[Explanation]:
    """Explain each row of the model input.

    Parameters
    ----------
    model : fitted model.
    x : (n, n_features) model input.
    features : names of the columns of `x`.

    Returns
    -------
    n explanations, in row order.
    """
    if isinstance(model, OddsPool):
        return _of_pool(model, x, features)
    if isinstance(model, CoverageHeads):
        return _of_heads(model, x, features)
    return _of_blend(model, x, features)


def _of_pool(model: OddsPool, x: Floats, features: Sequence[str]) -> list[Explanation]:
    """Explain a pool: its log-odds are a weighted sum of those of its two parts, and so are the contributions."""
    odds_log_odds, ratings = model.parts(x)
    names = [name for column, name in enumerate(features) if column not in (model.odds or ())]
    explanations, priced = explain(model.ratings_, ratings, names), model.uses_columns(odds_log_odds)
    by_odds, baseline = odds_log_odds[:, 0] - odds_log_odds[:, 1], float(model.usual_[0] - model.usual_[1])
    odds_weight, ratings_weight = (float(weight) for weight in model.weights_)
    return [
        Explanation(
            baseline_log_odds=ratings_weight * by_ratings.baseline_log_odds + odds_weight * baseline,
            contributions={
                system: ratings_weight * contribution for system, contribution in by_ratings.contributions.items()
            }
            | {ODDS: odds_weight * (float(by_odds[row]) - baseline)},
            log_odds=ratings_weight * by_ratings.log_odds + odds_weight * float(by_odds[row]),
        )
        if priced[row]
        else by_ratings
        for row, by_ratings in enumerate(explanations)
    ]


def _of_heads(model: CoverageHeads, x: Floats, features: Sequence[str]) -> list[Explanation]:
    """Explain a pool of heads: its log-odds are the weighted sum of those of the heads, and so are the contributions.

    A rating that no head of a row uses has no contribution.
    """
    weights = model.head_weights(x)
    baseline_log_odds, log_odds = np.zeros(len(x)), np.zeros(len(x))
    contributions: list[dict[str, float]] = [{} for _ in range(len(x))]
    for number in np.flatnonzero(weights.any(axis=0)).tolist():
        rows, head, columns = np.flatnonzero(weights[:, number]), model.heads_[number], model.columns(number)
        assert head is not None
        names = [features[column] for column in columns]
        for row, by_head in zip(rows.tolist(), _of_blend(head, x[rows][:, columns], names), strict=True):
            weight = float(weights[row, number])
            baseline_log_odds[row] += weight * by_head.baseline_log_odds
            log_odds[row] += weight * by_head.log_odds
            for system, contribution in by_head.contributions.items():
                contributions[row][system] = contributions[row].get(system, 0.0) + weight * contribution
    return [
        Explanation(float(baseline), moved, float(total))
        for baseline, moved, total in zip(baseline_log_odds, contributions, log_odds, strict=True)
    ]


def _of_blend(model: RatingBlend, x: Floats, features: Sequence[str]) -> list[Explanation]:
    """Explain a blend of rating systems by integrated gradients (Sundararajan et al. 2017) from the mean row.

    A member's log-odds depend on one weighted sum of its columns. So each column contributes in proportion to its term
    in that sum.
    """
    groups = model.groups if model.groups is not None else [list(range(len(features)))]
    mean_row = np.zeros((1, x.shape[1]))
    for member, group in zip(model.members_, groups, strict=True):
        mean_row[0, list(group)] = member["scale"].mean_
    log_odds, mean_log_odds = _log_odds(model, x), _log_odds(model, mean_row)
    contributions: dict[str, Floats] = {}
    for number, (member, group) in enumerate(zip(model.members_, groups, strict=True)):
        scale = member["scale"]
        terms = (x[:, list(group)] - scale.mean_) / scale.scale_ * member["logit"].coef_
        total = terms.sum(axis=1)
        differs = np.abs(total) > 1e-12  # the mean row itself has no contributions
        slope = np.where(differs, (log_odds[number] - mean_log_odds[number]) / np.where(differs, total, 1.0), 0.0)
        for column, term in zip(group, terms.T, strict=True):
            system = _SYSTEM.get(features[column], features[column])
            contributions[system] = contributions.get(system, 0.0) + slope * term
    return [
        Explanation(
            baseline_log_odds=float(mean_log_odds.sum()),
            contributions={system: float(values[row]) for system, values in contributions.items()},
            log_odds=float(log_odds[:, row].sum()),
        )
        for row in range(len(x))
    ]


def explain_neutral_ground(explanation: Explanation, swapped: Explanation) -> Explanation:
    """Explain a forecast on neutral ground: half the difference between the explanations of both orders of the clubs.

    Parameters
    ----------
    explanation : of the match with the clubs in their order.
    swapped : of the match with the clubs in the opposite order.
    """
    return Explanation(
        baseline_log_odds=(explanation.baseline_log_odds - swapped.baseline_log_odds) / 2,
        contributions={
            system: (contribution - swapped.contributions[system]) / 2
            for system, contribution in explanation.contributions.items()
        },
        log_odds=(explanation.log_odds - swapped.log_odds) / 2,
    )


def _log_odds(model: RatingBlend, x: Floats) -> Floats:
    """Return what each member adds to the blend's log-odds of home against away, (n_members, n)."""
    members = model.member_log_probabilities(x)
    return np.asarray((members[:, :, 0] - members[:, :, -1]) / len(members))
