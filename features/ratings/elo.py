"""Elo weighted by goal difference (Elo 1978; goal weighting as in Hvattum & Arntzen 2010)."""

from __future__ import annotations

from typing import NamedTuple

from features.compiled import njit


class EloParams(NamedTuple):
    """Points.

    `newcomer` is added to the division's mean, `pull` is the share taken back to it each summer, `tier_step` is how
    much lower each tier begins where nothing is known yet.
    """

    k: float = 10.0
    gamma: float = 1.0
    home_advantage: float = 50.0
    newcomer: float = -100.0
    pull: float = 0.1
    start: float = 1500.0
    tier_step: float = 0.0


def plain_elo() -> EloParams:
    """The reference everyone knows: K=20, every win alike, all clubs start at 1500 and keep their rating for good."""
    return EloParams(k=20.0, gamma=0.0, home_advantage=60.0, newcomer=0.0, pull=0.0)


@njit(cache=True)
def change(gap: float, goal_difference: float, k: float, gamma: float) -> float:
    """Points that the home club gains and the away club loses; `gap` includes the home advantage."""
    expected = 1.0 / (1.0 + 10.0 ** (-gap / 400.0))
    score = 0.5 if goal_difference == 0 else (1.0 if goal_difference > 0 else 0.0)
    return float(k * (1.0 + abs(goal_difference)) ** gamma * (score - expected))
