"""Ratings of all clubs and divisions as arrays, which `features.ratings.rating_update` updates."""

from __future__ import annotations

from typing import Any, NamedTuple

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
    "attack_market",
    "defence_market",
    "variance_market",  # of the two ratings above: high without recent odds
    "elo_plain",  # K=20 without goal difference: the baseline, never a feature of the model
    "gain",  # factor on all steps, above 1 after a summer or a promotion, when little is known
    "played",  # matches of this club in the data so far
    "matches_with_shots",  # of the last `SHOTS_DAYS`, at most `COUNTED_MATCHES_WITH_SHOTS`
    "level",  # of the division: log goals of an average side away from home
    "home_advantage",  # of the division: log factor on the home side's goals
    "level_on_target",
    "home_advantage_on_target",
    "level_shots",
    "home_advantage_shots",
    "level_market",  # of the division: log-odds of an average side away from home against a draw
    "home_advantage_market",
)
ELO, PI_HOME, PI_AWAY, ATTACK, DEFENCE = range(5)
ATTACK_MARKET, DEFENCE_MARKET, VARIANCE_MARKET, ELO_PLAIN, GAIN, PLAYED, MATCHES_WITH_SHOTS, LEVEL, HOME = range(9, 18)
N_POOLED_COLUMNS = ELO_PLAIN
"""Number of leading columns that revert to the mean of the division's clubs in summer; the others do not."""
CLUB_COLUMNS = MATCHES_WITH_SHOTS + 1
DIVISION_COLUMNS = len(STATE_COLUMNS) - CLUB_COLUMNS
POISSON_STATISTICS = 3
"""Number of statistics with Poisson ratings: goals, shots on target, shots. Each has two columns of clubs and two of
divisions; the market ratings follow as the next ones."""
MARKET = POISSON_STATISTICS

COUNTED_MATCHES_WITH_SHOTS = 6
"""Largest number of recent matches with shots that is counted for a club."""
SHOTS_DAYS = 500
"""Days before the club's last match in which matches with shots are counted: this season and the last one."""
NO_DAY = -(2**31)
"""Day of a match that there was not."""

STEP_DTYPE = np.dtype(
    [
        ("elo_k", float),
        ("elo_gamma", float),
        ("elo_home_advantage", float),
        ("plain_k", float),
        ("plain_gamma", float),
        ("plain_home_advantage", float),
        ("pi_learning_rate", float),
        ("pi_carry", float),
        ("gain_after_summer", float),
        ("gain_after_absence", float),
        ("gain_decay", float),
        ("learning_rate", float, (POISSON_STATISTICS,)),
        ("division_learning_rate", float, (POISSON_STATISTICS,)),
        ("market_noise", float),
        ("market_daily_growth", float),
        ("market_summer_growth", float),
        ("market_max_variance", float),
        ("market_division_learning_rate", float),
    ]
)
"""The coefficients that every match needs, as one record: passing arrays to the compiled functions costs more."""


class RatingCoefficients(NamedTuple):
    """Parameters of all divisions as arrays, one row per division. A NamedTuple, because numba supports it."""

    step: NDArray[np.void]  # (divisions,) of STEP_DTYPE
    start: Floats  # (divisions, N_POOLED_COLUMNS) assumed mean of the clubs before the first season
    promoted_offset: Floats  # (divisions, N_POOLED_COLUMNS)
    mean_reversion: Floats  # (divisions, N_POOLED_COLUMNS)
    opening: Floats  # (divisions, DIVISION_COLUMNS) levels and home advantages before the first match

    @staticmethod
    def of(params: list[RatingParams], tiers: list[int]) -> RatingCoefficients:
        """Arrange the parameters and tiers of divisions as arrays, one row for each division."""
        rows = [_coefficients_of(division, tier) for division, tier in zip(params, tiers, strict=True)]
        steps, *columns = zip(*rows, strict=True)
        arrays = (np.array(column, dtype=float) for column in columns)
        return RatingCoefficients(np.array(list(steps), STEP_DTYPE), *arrays)


def _coefficients_of(params: RatingParams, tier: int) -> tuple[Any, ...]:
    """Return one division's row of each field of `RatingCoefficients`."""
    elo, plain, pi, gain, market = params.elo, params.elo_plain, params.pi, params.gain, params.market
    statistics = (params.poisson, params.shots_on_target, params.shots)
    step = (
        *(elo.k, elo.gamma, elo.home_advantage, plain.k, plain.gamma, plain.home_advantage, pi.learning_rate, pi.carry),
        *(gain.after_summer, gain.after_absence, gain.decay),
        [statistic.learning_rate for statistic in statistics],
        [statistic.division_learning_rate for statistic in statistics],
        *(market.noise, market.daily_growth, market.summer_growth, market.max_variance),
        market.division_learning_rate,
    )
    return (
        step,
        [elo.start - elo.tier_step * (tier - 1), 0.0, 0.0]
        + [0.0] * (2 * POISSON_STATISTICS + 2)
        + [market.start_variance],
        [elo.promoted_offset, pi.promoted_offset, pi.promoted_offset]
        + [statistic.promoted_offset for statistic in statistics for _ in ("attack", "defence")]
        + [market.promoted_offset, market.promoted_offset, market.newcomer_variance],
        [elo.mean_reversion, 0.0, 0.0]
        + [statistic.mean_reversion for statistic in statistics for _ in ("attack", "defence")]
        + [market.mean_reversion, market.mean_reversion, 0.0],
        [value for system in (*statistics, market) for value in (system.level, system.home)],
    )


class RatingState(NamedTuple):
    """Ratings of all clubs and divisions after a match day. `update_ratings` changes the arrays in place."""

    clubs: Floats  # (clubs, CLUB_COLUMNS)
    club_season: Ints  # (clubs,) last season of the club, -1 before its first match
    club_division: Ints  # (clubs,) division of the club's last match
    club_day: Ints  # (clubs,) day of the club's last result, NO_DAY before it
    shots_days: Ints  # (clubs, COUNTED_MATCHES_WITH_SHOTS) days of its last results with shots, newest first
    divisions: Floats  # (divisions, DIVISION_COLUMNS)
    division_season: Ints  # (divisions,)
    total: Floats  # (divisions, N_POOLED_COLUMNS) sum of the ratings of this season's clubs
    club_count: Floats  # (divisions,) number of this season's clubs
    mean: Floats  # (divisions, N_POOLED_COLUMNS) of the clubs of the season before
    has_mean: NDArray[np.bool_]  # (divisions,) whether there was a season before

    @staticmethod
    def empty() -> RatingState:
        """Create a state without clubs or divisions."""
        no_ints = np.zeros(0, np.int64)
        return RatingState(
            np.zeros((0, CLUB_COLUMNS)),
            no_ints,
            no_ints,
            no_ints,
            np.zeros((0, COUNTED_MATCHES_WITH_SHOTS), np.int64),
            np.zeros((0, DIVISION_COLUMNS)),
            no_ints,
            np.zeros((0, N_POOLED_COLUMNS)),
            np.zeros(0),
            np.zeros((0, N_POOLED_COLUMNS)),
            np.zeros(0, bool),
        )

    def resized(self, n_clubs: int, coefficients: RatingCoefficients, plain_start: float) -> RatingState:
        """Copy the state, with room for `n_clubs` clubs and all divisions of `coefficients`."""
        new_clubs = np.zeros((n_clubs - len(self.clubs), CLUB_COLUMNS))
        new_clubs[:, ELO_PLAIN] = plain_start
        new_divisions = slice(len(self.divisions), None)
        n_new = len(coefficients.opening) - len(self.divisions)
        return RatingState(
            np.vstack([self.clubs, new_clubs]),
            np.append(self.club_season, np.full(len(new_clubs), -1)),
            np.append(self.club_division, np.full(len(new_clubs), -1)),
            np.append(self.club_day, np.full(len(new_clubs), NO_DAY)),
            np.vstack([self.shots_days, np.full((len(new_clubs), COUNTED_MATCHES_WITH_SHOTS), NO_DAY)]),
            np.vstack([self.divisions, coefficients.opening[new_divisions]]),
            np.append(self.division_season, np.full(n_new, -1)),
            np.vstack([self.total, np.zeros((n_new, N_POOLED_COLUMNS))]),
            np.append(self.club_count, np.zeros(n_new)),
            np.vstack([self.mean, np.zeros((n_new, N_POOLED_COLUMNS))]),
            np.append(self.has_mean, np.zeros(n_new, bool)),
        )
