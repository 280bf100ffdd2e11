"""Online Poisson ratings: attack and defence per club, level and home advantage per division.

log lambda_home = level + home + attack_home - defence_away, log lambda_away = level + attack_away - defence_home;
each match moves the ratings by a step along the gradient of its Poisson likelihood, scaled by the division's level.
The same engine runs on goals, on shots on target and on shots.
"""

from __future__ import annotations

from typing import NamedTuple


class PoissonParams(NamedTuple):
    """`rate` moves clubs, `division_rate` the division; `newcomer` is added to the division's means."""

    rate: float = 0.025
    division_rate: float = 0.002
    level: float = 0.2
    home: float = 0.25
    newcomer: float = -0.15
    pull: float = 0.0
