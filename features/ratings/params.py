"""Parameters of all rating systems together, and the sets that the back-test chose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class EloParams(NamedTuple):
    """Points.

    `newcomer` is added to the division's mean for a club that was nowhere in the data the season before, `pull` is the
    share taken back to the mean each summer, `tier_step` is how much lower each tier begins where nothing is known yet.
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


class PiParams(NamedTuple):
    """`rate` is lambda, `carry` gamma of the paper; `newcomer` is added to the division's mean."""

    rate: float = 0.05
    carry: float = 0.7
    newcomer: float = -0.2


class PoissonParams(NamedTuple):
    """Online Poisson ratings: attack and defence per club, level and home advantage per division.

    log lambda_home = level + home + attack_home - defence_away, log lambda_away = level + attack_away - defence_home;
    each match moves the ratings by a step along the gradient of its Poisson likelihood, scaled by the division's level.
    `rate` moves clubs, `division_rate` the division; `newcomer` is added to the division's means. The same engine runs
    on goals, on shots on target and on shots.
    """

    rate: float = 0.025
    division_rate: float = 0.002
    level: float = 0.2
    home: float = 0.25
    newcomer: float = -0.15
    pull: float = 0.0


class GainParams(NamedTuple):
    """Ratings move faster when less is known: by `summer` more at a season's start, by `newcomer` for a newcomer.

    A newcomer is a club that was nowhere in the data the season before: a promoted one where its lower tier is not
    followed. Where it is, the club is known, and its ratings move by `summer` only. The surplus fades by the factor
    `fade` with each match.
    """

    summer: float
    newcomer: float
    fade: float = 0.9


@dataclass(frozen=True)
class RatingParams:
    """Parameters of all rating systems. The values of `ALONE` and `TIERED` are what `features.tuning` chose."""

    elo: EloParams
    pi: PiParams
    poisson: PoissonParams
    shots_on_target: PoissonParams
    shots: PoissonParams
    gain: GainParams
    elo_plain: EloParams = field(default_factory=plain_elo)


ALONE = RatingParams(
    elo=EloParams(k=4, gamma=0.25, home_advantage=40, newcomer=-100, pull=0.05),
    pi=PiParams(rate=0.03, carry=0.5, newcomer=-0.3),
    poisson=PoissonParams(rate=0.04, division_rate=0.004, newcomer=-0.2, pull=0.1),
    shots_on_target=PoissonParams(rate=0.06, division_rate=0.004, level=1.45, home=0.2, newcomer=-0.1, pull=0.05),
    shots=PoissonParams(rate=0.1, division_rate=0.004, level=2.4, home=0.2, newcomer=0.05, pull=0.6),
    gain=GainParams(summer=0.25, newcomer=1.5),
)
"""For a league without its lower tiers: promoted clubs begin as newcomers of the division usually are.

Chosen on the first tiers of five countries, each alone, up to 2018/19.
"""

TIERED = RatingParams(
    elo=EloParams(k=2, gamma=0.5, home_advantage=40, newcomer=-50, pull=0.15, tier_step=100),
    pi=PiParams(rate=0.03, carry=0.9, newcomer=-0.15),
    poisson=PoissonParams(rate=0.04, division_rate=0.004, newcomer=-0.15, pull=0.0),
    shots_on_target=PoissonParams(rate=0.05, division_rate=0.004, level=1.45, home=0.2, newcomer=0.0, pull=0.0),
    shots=PoissonParams(rate=0.1, division_rate=0.004, level=2.4, home=0.2, newcomer=-0.05, pull=0.6),
    gain=GainParams(summer=0.5, newcomer=1.0),
)
"""For a country with several tiers in the data: clubs keep their ratings when they move between them.

Chosen on the first and second tiers of five countries up to 2018/19.
"""
