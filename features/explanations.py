"""Why a forecast is what it is: each rating system's share in the log-odds of a home win against an away win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.blend import RatingBlend

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """log(P(home) / P(away)) = `average` + the sum of `shares`.

    Attributes
    ----------
    average : log-odds of a match between two clubs with the average values of the training matches.
    shares : by rating system, how far its ratings of these two clubs move the log-odds from there.
    log_odds : of the forecast.
    """

    average: float
    shares: dict[str, float]
    log_odds: float


def explain(model: RatingBlend, x: Floats, features: Sequence[str]) -> list[Explanation]:
    """One explanation a row of model input (n, n_features), whose columns are `features`."""
    groups = model.groups if model.groups is not None else [list(range(len(features)))]
    members = model.member_log_probabilities(x)
    mean_row = np.zeros((1, x.shape[1]))
    for member, group in zip(model.members_, groups, strict=True):
        mean_row[0, list(group)] = member["scale"].mean_
    average = model.member_log_probabilities(mean_row)
    odds = (members[:, :, 0] - members[:, :, -1]) / len(groups)
    usual = (average[:, :, 0] - average[:, :, -1]) / len(groups)
    names = [", ".join(features[column] for column in group) for group in groups]
    return [
        Explanation(
            average=float(usual.sum()),
            shares={name: float(odds[one, row] - usual[one, 0]) for one, name in enumerate(names)},
            log_odds=float(odds[:, row].sum()),
        )
        for row in range(len(x))
    ]
