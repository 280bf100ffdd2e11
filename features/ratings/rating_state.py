"""The accounts of all clubs and divisions: what `features.ratings.rating_update` books matches into."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.ratings.params import RatingParams

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STATE_COLUMNS = (
    "elo",
    "pi_home",
    "pi_away",
    "attack",
    "defence",
    "attack_on_target",
    "defence_on_target",
    "attack_shots",
    "defence_shots",
    "elo_plain",  # K=20, goals not counted: the reference, never a feature of the model
    "gain",  # how much faster than usual the ratings move: after a summer or a promotion little is known
    "played",  # matches this club has behind it in the data
    "level",  # of the division: log goals of an average side away from home
    "home_advantage",  # of the division: log factor on the home side's goals
    "level_on_target",
    "home_advantage_on_target",
    "level_shots",
    "home_advantage_shots",
)
ELO, PI_HOME, PI_AWAY, ATTACK, DEFENCE = range(5)
ELO_PLAIN, GAIN, PLAYED, LEVEL, HOME = 9, 10, 11, 12, 13
N_POOLED_COLUMNS = ELO_PLAIN
"""Columns before this one are means of a division's clubs in summer; the rest is a club's own for good."""
CLUB_COLUMNS = PLAYED + 1
DIVISION_COLUMNS = len(STATE_COLUMNS) - CLUB_COLUMNS
POISSON_ENGINES = 3
"""Poisson engines: goals, shots on target, shots; each takes two club columns and two division columns."""


@dataclass
class RatingCoefficients:
    """The parameters of each division as arrays, one row a division."""

    steps: Floats
    start: Floats
    newcomer: Floats
    pull: Floats
    opening: Floats

    @staticmethod
    def of(params: list[RatingParams], tiers: list[int]) -> RatingCoefficients:
        """Lay out the parameters of divisions, one entry a division."""
        rows = [_coefficients_of(one, tier) for one, tier in zip(params, tiers, strict=True)]
        return RatingCoefficients(*(np.array(column) for column in zip(*rows, strict=True)))


def _coefficients_of(params: RatingParams, tier: int) -> tuple[list[float], ...]:
    elo, plain, pi = params.elo, params.elo_plain, params.pi
    engines = (params.poisson, params.shots_on_target, params.shots)
    steps = [elo.k, elo.gamma, elo.home_advantage, plain.k, plain.gamma, plain.home_advantage, pi.rate, pi.carry]
    steps += [params.gain.summer, params.gain.newcomer, params.gain.fade]
    steps += [value for one in engines for value in (one.rate, one.division_rate)]
    start = [elo.start - elo.tier_step * (tier - 1), 0.0, 0.0] + [0.0] * (2 * POISSON_ENGINES)
    newcomer = [elo.newcomer, pi.newcomer, pi.newcomer] + [one.newcomer for one in engines for _ in "ad"]
    pull = [elo.pull, 0.0, 0.0] + [one.pull for one in engines for _ in "ad"]
    opening = [value for one in engines for value in (one.level, one.home)]
    return steps, start, newcomer, pull, opening


@dataclass
class RatingState:
    """Everything that the ratings remember: give it to the next run to go on where the last one ended."""

    clubs: Floats  # (clubs, CLUB_COLUMNS)
    season_of: Ints  # (clubs,) the season a club last played in, -1 before its first
    member: Ints  # (clubs,) the division it last played in
    divisions: Floats  # (divisions, DIVISION_COLUMNS)
    division_season: Ints  # (divisions,)
    total: Floats  # (divisions, RATED) sum of the states of this season's members
    count: Floats  # (divisions,)
    mean: Floats  # (divisions, RATED) of the season before
    settled: NDArray[np.bool_]  # (divisions,) whether there was a season before

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The accounts in the order in which `book` takes them."""
        return tuple(getattr(self, one.name) for one in fields(self))

    @staticmethod
    def empty() -> RatingState:
        """A ledger without clubs or divisions."""
        none = np.zeros(0, np.int64)
        return RatingState(
            np.zeros((0, CLUB_COLUMNS)),
            none,
            none,
            np.zeros((0, DIVISION_COLUMNS)),
            none,
            np.zeros((0, N_POOLED_COLUMNS)),
            np.zeros(0),
            np.zeros((0, N_POOLED_COLUMNS)),
            np.zeros(0, bool),
        )

    def resized(self, n_clubs: int, rules: RatingCoefficients, plain_start: float) -> RatingState:
        """A copy with room for `n_clubs` clubs and as many divisions as there are rules."""
        new_clubs = np.zeros((n_clubs - len(self.clubs), CLUB_COLUMNS))
        new_clubs[:, ELO_PLAIN] = plain_start
        fresh = slice(len(self.divisions), None)
        n_new = len(rules.opening) - len(self.divisions)
        return RatingState(
            np.vstack([self.clubs, new_clubs]),
            np.append(self.season_of, np.full(len(new_clubs), -1)),
            np.append(self.member, np.full(len(new_clubs), -1)),
            np.vstack([self.divisions, rules.opening[fresh]]),
            np.append(self.division_season, np.full(n_new, -1)),
            np.vstack([self.total, np.zeros((n_new, N_POOLED_COLUMNS))]),
            np.append(self.count, np.zeros(n_new)),
            np.vstack([self.mean, np.zeros((n_new, N_POOLED_COLUMNS))]),
            np.append(self.settled, np.zeros(n_new, bool)),
        )
