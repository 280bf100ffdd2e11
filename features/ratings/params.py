"""Parameters of all rating systems together, and the sets that the back-test chose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from features.ratings.elo import EloParams, plain_elo
from features.ratings.pi import PiParams
from features.ratings.poisson import PoissonParams


class GainParams(NamedTuple):
    """Ratings move faster when less is known: by `summer` more at a season's start, by `newcomer` after a promotion.

    The surplus fades by the factor `fade` with each match.
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
    elo=EloParams(k=10, gamma=1.0, home_advantage=50, newcomer=-100, pull=0.1),
    pi=PiParams(rate=0.05, carry=0.5, newcomer=-0.4),
    poisson=PoissonParams(rate=0.025, division_rate=0.002, newcomer=-0.15, pull=0.0),
    shots_on_target=PoissonParams(rate=0.025, division_rate=0.002, level=1.45, home=0.2, newcomer=-0.15, pull=0.1),
    shots=PoissonParams(rate=0.015, division_rate=0.002, level=2.4, home=0.2, newcomer=-0.1, pull=0.2),
    gain=GainParams(summer=0.0, newcomer=0.0),
)
"""For a league without its lower tiers: promoted clubs begin as newcomers of the division usually are.

Chosen on the bundled Premier League up to 2020/21.
"""

TIERED = RatingParams(
    elo=EloParams(k=6, gamma=1.0, home_advantage=40, newcomer=-50, pull=0.15, tier_step=100),
    pi=PiParams(rate=0.04, carry=0.7, newcomer=-0.15),
    poisson=PoissonParams(rate=0.025, division_rate=0.002, newcomer=-0.05, pull=0.0),
    shots_on_target=PoissonParams(rate=0.03, division_rate=0.004, level=1.45, home=0.2, newcomer=0.0, pull=0.05),
    shots=PoissonParams(rate=0.03, division_rate=0.002, level=2.4, home=0.2, newcomer=0.0, pull=0.1),
    gain=GainParams(summer=0.5, newcomer=0.5),
)
"""For a country with several tiers in the data: clubs keep their ratings when they move between them.

Chosen on the first and second tiers of five countries up to 2018/19.
"""
