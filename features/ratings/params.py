"""Parameters of all rating systems, and the two sets that `features.tuning` chose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class EloParams(NamedTuple):
    """Parameters of Elo, in points.

    `k` and `gamma` are those of `features.ratings.elo.change`. A first tier starts at the rating `start`, each tier
    below it `tier_step` lower. A club without a match in the season before starts at the division's mean plus
    `promoted_offset`. Each summer, ratings move to the division's mean by the share `mean_reversion`.
    """

    k: float = 10.0
    gamma: float = 1.0
    home_advantage: float = 50.0
    promoted_offset: float = -100.0
    mean_reversion: float = 0.1
    start: float = 1500.0
    tier_step: float = 0.0


def plain_elo() -> EloParams:
    """Return the parameters of the baseline: K=20, no goal difference, start at 1500, no mean reversion."""
    return EloParams(k=20.0, gamma=0.0, home_advantage=60.0, promoted_offset=0.0, mean_reversion=0.0)


class PiParams(NamedTuple):
    """Parameters of pi-ratings (Constantinou & Fenton 2013).

    `learning_rate` is lambda in the paper. `carry` is its gamma: the share of a home rating's change that the away
    rating also gets, and vice versa.
    """

    learning_rate: float = 0.05
    carry: float = 0.7
    promoted_offset: float = -0.2


class PoissonParams(NamedTuple):
    """Online Poisson ratings: attack and defence per club, level and home advantage per division.

    log lambda_home = level + home + attack_home - defence_away, log lambda_away = level + attack_away - defence_home;
    each match moves the ratings by a step along the gradient of its Poisson likelihood, scaled by the division's level.
    `learning_rate` is the step of clubs, `division_learning_rate` that of the division. There is one set of these
    ratings for each statistic: goals, shots on target and shots.
    """

    learning_rate: float = 0.025
    division_learning_rate: float = 0.002
    level: float = 0.2
    home: float = 0.25
    promoted_offset: float = -0.15
    mean_reversion: float = 0.0


class MarketParams(NamedTuple):
    """Parameters of the market ratings, on the scale of log-odds (see `features.ratings.market`).

    `noise` is the variance of the odds around what the ratings expect. The variance of a club's ratings starts at
    `start_variance` in a division's first season; later, a newcomer starts at the division's mean rating plus
    `promoted_offset`, and its mean variance plus `newcomer_variance`. Variances grow by `daily_growth` and, each
    summer, by `summer_growth`, up to `max_variance`. Each summer, ratings move to the division's mean by the share
    `mean_reversion`. `level` and `home` of a division begin as given and move by `division_learning_rate`.
    """

    noise: float = 0.007
    daily_growth: float = 0.0002
    summer_growth: float = 0.08
    newcomer_variance: float = 0.1
    start_variance: float = 0.5
    max_variance: float = 1.0
    promoted_offset: float = -0.1
    mean_reversion: float = 0.2
    division_learning_rate: float = 0.01
    level: float = -0.1
    home: float = 0.5


class GainParams(NamedTuple):
    """How much faster ratings move while little is known about a club.

    At the start of a season, `after_summer` is added to a club's gain. If the club had no match in the season before,
    its gain becomes 1 + `after_absence` instead: this holds for a promoted club if its lower tier is not in the data.
    With each match, the part of the gain above 1 shrinks by the factor `decay`.
    """

    after_summer: float
    after_absence: float
    decay: float = 0.9


@dataclass(frozen=True)
class RatingParams:
    """Parameters of all rating systems of a competition."""

    elo: EloParams
    pi: PiParams
    poisson: PoissonParams
    shots_on_target: PoissonParams
    shots: PoissonParams
    gain: GainParams
    market: MarketParams = field(default_factory=MarketParams)
    elo_plain: EloParams = field(default_factory=plain_elo)


SINGLE_TIER = RatingParams(
    elo=EloParams(k=4, gamma=0.25, home_advantage=40, promoted_offset=-100, mean_reversion=0.05),
    pi=PiParams(learning_rate=0.03, carry=0.5, promoted_offset=-0.3),
    poisson=PoissonParams(learning_rate=0.04, division_learning_rate=0.004, promoted_offset=-0.2, mean_reversion=0.1),
    shots_on_target=PoissonParams(
        learning_rate=0.06,
        division_learning_rate=0.004,
        level=1.45,
        home=0.2,
        promoted_offset=-0.1,
        mean_reversion=0.05,
    ),
    shots=PoissonParams(
        learning_rate=0.1, division_learning_rate=0.004, level=2.4, home=0.2, promoted_offset=0.05, mean_reversion=0.6
    ),
    gain=GainParams(after_summer=0.25, after_absence=1.5),
)
"""For a league without its lower tiers: promoted clubs start at the usual level of promoted clubs.

Chosen on the first tiers of five countries, each alone, up to 2018/19.
"""

MULTI_TIER = RatingParams(
    elo=EloParams(k=2, gamma=0.5, home_advantage=40, promoted_offset=-50, mean_reversion=0.15, tier_step=100),
    pi=PiParams(learning_rate=0.03, carry=0.9, promoted_offset=-0.15),
    poisson=PoissonParams(learning_rate=0.04, division_learning_rate=0.004, promoted_offset=-0.15, mean_reversion=0.0),
    shots_on_target=PoissonParams(
        learning_rate=0.05, division_learning_rate=0.004, level=1.45, home=0.2, promoted_offset=0.0, mean_reversion=0.0
    ),
    shots=PoissonParams(
        learning_rate=0.1, division_learning_rate=0.004, level=2.4, home=0.2, promoted_offset=-0.05, mean_reversion=0.6
    ),
    gain=GainParams(after_summer=0.5, after_absence=1.0),
)
"""For a country with several tiers in the data: clubs keep their ratings when they move between them.

Chosen on the first and second tiers of five countries up to 2018/19.
"""
