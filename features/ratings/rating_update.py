"""The compiled loop that updates all ratings, day by day.

Only `features.rating_history.compute_ratings` imports this module, because numba takes half a second to load.
"""

# mypy: disable-error-code="no-untyped-def"
# numba derives the types of its functions from their arguments.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.ratings.elo import change as elo_change
from features.ratings.market import gain as market_gain
from features.ratings.market import log_odds
from features.ratings.pi import error_after_diminishing
from features.ratings.rating_state import (
    ATTACK,
    ATTACK_MARKET,
    CLUB_COLUMNS,
    DEFENCE_MARKET,
    DIVISION_COLUMNS,
    ELO,
    ELO_PLAIN,
    GAIN,
    LEVEL,
    MARKET,
    MATCHES_WITH_SHOTS,
    N_POOLED_COLUMNS,
    NO_DAY,
    PI_AWAY,
    PI_HOME,
    PLAYED,
    POISSON_STATISTICS,
    SHOTS_DAYS,
    VARIANCE_MARKET,
)


class MatchArrays(NamedTuple):
    """n matches, sorted by day."""

    day: NDArray[np.int64]  # (n,) days since 1970
    division: NDArray[np.int64]  # (n,) row of the division
    season: NDArray[np.int64]  # (n,) year of its start
    home: NDArray[np.int64]  # (n,) row of the club
    away: NDArray[np.int64]  # (n,) row of the club
    counts: NDArray[np.float64]  # (n, POISSON_STATISTICS, 2) of the home and the away side, NaN if unknown
    odds: NDArray[np.float64]  # (n, 3) last decimal odds of home, draw, away; NaN without odds
    neutral: NDArray[np.bool_]  # (n,)
    known: NDArray[np.bool_]  # (n,) whether the match has a score


@njit(cache=True)
def _open_season(d, season, state, coefficients):
    """Start a division's season: ratings now revert to the mean of last season's clubs."""
    state.has_mean[d] = state.club_count[d] > 0
    state.mean[d] = state.total[d] / state.club_count[d] if state.club_count[d] > 0 else coefficients.start[d]
    state.total[d] = 0.0
    state.club_count[d] = 0.0
    state.division_season[d] = season


@njit(cache=True)
def _first_match_of_season(club, d, season, state, coefficients):
    """Start a club's season: a promoted club gets its division's usual start, others revert to the mean."""
    clubs, mean, has_mean = state.clubs, state.mean, state.has_mean
    if state.club_season[club] < 0 or state.club_season[club] < season - 1:
        for c in range(N_POOLED_COLUMNS):
            clubs[club, c] = mean[d, c] + (coefficients.promoted_offset[d, c] if has_mean[d] else 0.0)
        clubs[club, GAIN] = 1.0 + coefficients.step[d].gain_after_absence
        clubs[club, MATCHES_WITH_SHOTS] = 0.0
        state.club_day[club] = NO_DAY
        state.shots_days[club] = NO_DAY
    elif state.club_season[club] < season:
        for c in range(N_POOLED_COLUMNS):
            share = coefficients.mean_reversion[d, c] if has_mean[d] else 0.0
            clubs[club, c] += share * (mean[d, c] - clubs[club, c])
        clubs[club, GAIN] += coefficients.step[d].gain_after_summer
        clubs[club, VARIANCE_MARKET] += coefficients.step[d].market_summer_growth
    clubs[club, VARIANCE_MARKET] = min(clubs[club, VARIANCE_MARKET], coefficients.step[d].market_max_variance)
    state.club_season[club] = season
    state.club_division[club] = d


@njit(cache=True)
def _add(club, d, column, change, clubs, total):
    clubs[club, column] += change
    total[d, column] += change


@njit(cache=True)
def _update_elo(h, a, d, home_state, away_state, home_indicator, difference, clubs, total, step):
    gap = home_state[ELO] + home_indicator * step.elo_home_advantage - away_state[ELO]
    points = elo_change(gap, difference, step.elo_k, step.elo_gamma)
    _add(h, d, ELO, home_state[GAIN] * points, clubs, total)
    _add(a, d, ELO, -away_state[GAIN] * points, clubs, total)
    gap = home_state[ELO_PLAIN] + home_indicator * step.plain_home_advantage - away_state[ELO_PLAIN]
    points = elo_change(gap, difference, step.plain_k, step.plain_gamma)
    clubs[h, ELO_PLAIN] += points
    clubs[a, ELO_PLAIN] -= points


@njit(cache=True)
def _update_pi(h, a, d, home_state, away_state, neutral, difference, clubs, total, step):
    learning_rate, carry = step.pi_learning_rate, step.pi_carry
    if neutral:  # use the mean of a club's two ratings, and change both equally
        home_mean = (home_state[PI_HOME] + home_state[PI_AWAY]) / 2
        away_mean = (away_state[PI_HOME] + away_state[PI_AWAY]) / 2
        move = learning_rate * (1.0 + carry) / 2 * error_after_diminishing(home_mean, away_mean, difference)
        carried = move
    else:
        move = learning_rate * error_after_diminishing(home_state[PI_HOME], away_state[PI_AWAY], difference)
        carried = carry * move
    _add(h, d, PI_HOME, home_state[GAIN] * move, clubs, total)
    _add(h, d, PI_AWAY, home_state[GAIN] * carried, clubs, total)
    _add(a, d, PI_AWAY, -away_state[GAIN] * move, clubs, total)
    _add(a, d, PI_HOME, -away_state[GAIN] * carried, clubs, total)


@njit(cache=True)
def _update_poisson(
    statistic, h, a, d, home_state, away_state, home_indicator, home_count, away_count, clubs, divisions, total, step
):
    """Update attack, defence and the division's level with one count of both sides (goals, shots on target, shots)."""
    attack, defence, level = ATTACK + 2 * statistic, ATTACK + 2 * statistic + 1, LEVEL + 2 * statistic
    average = np.exp(home_state[level])
    home_rate = np.exp(
        home_state[level] + home_indicator * home_state[level + 1] + home_state[attack] - away_state[defence]
    )
    away_rate = np.exp(home_state[level] + away_state[attack] - home_state[defence])
    error_home, error_away = (home_count - home_rate) / average, (away_count - away_rate) / average
    learning_rate, division_learning_rate = step.learning_rate[statistic], step.division_learning_rate[statistic]
    _add(h, d, attack, learning_rate * home_state[GAIN] * error_home, clubs, total)
    _add(a, d, defence, -learning_rate * away_state[GAIN] * error_home, clubs, total)
    _add(a, d, attack, learning_rate * away_state[GAIN] * error_away, clubs, total)
    _add(h, d, defence, -learning_rate * home_state[GAIN] * error_away, clubs, total)
    divisions[d, 2 * statistic] += division_learning_rate * (error_home + error_away) / 2
    divisions[d, 2 * statistic + 1] += home_indicator * division_learning_rate * (error_home - error_away) / 2


@njit(cache=True)
def _age(club, d, day, state, step):
    """Let the variance of a club's market ratings grow up to the day of a result; returns by how much it grew."""
    since, variance = state.club_day[club], state.clubs[club, VARIANCE_MARKET]
    if since == NO_DAY:
        return 0.0
    growth = min(step.market_daily_growth * (day - since), step.market_max_variance - variance)
    _add(club, d, VARIANCE_MARKET, growth, state.clubs, state.total)
    return growth


@njit(cache=True)
def _update_market(
    h, a, d, home_state, away_state, growth, home_indicator, home_log_odds, away_log_odds, clubs, divisions, total, step
):
    """Update the market ratings of both clubs and their variances, and the division's level, with the odds."""
    level = LEVEL + 2 * MARKET
    expected_home = home_state[level] + home_indicator * home_state[level + 1]
    error_home = home_log_odds - (expected_home + home_state[ATTACK_MARKET] - away_state[DEFENCE_MARKET])
    error_away = away_log_odds - (home_state[level] + away_state[ATTACK_MARKET] - home_state[DEFENCE_MARKET])
    home_variance = home_state[VARIANCE_MARKET] + growth[h]
    away_variance = away_state[VARIANCE_MARKET] + growth[a]
    home_gain = market_gain(home_variance, away_variance, step.market_noise)
    away_gain = market_gain(away_variance, home_variance, step.market_noise)
    _add(h, d, ATTACK_MARKET, home_gain * error_home, clubs, total)
    _add(h, d, DEFENCE_MARKET, -home_gain * error_away, clubs, total)
    _add(a, d, ATTACK_MARKET, away_gain * error_away, clubs, total)
    _add(a, d, DEFENCE_MARKET, -away_gain * error_home, clubs, total)
    # factors, so that the order of a club's matches on one day does not matter and no variance falls below 0
    _add(h, d, VARIANCE_MARKET, -home_gain * clubs[h, VARIANCE_MARKET], clubs, total)
    _add(a, d, VARIANCE_MARKET, -away_gain * clubs[a, VARIANCE_MARKET], clubs, total)
    rate = step.market_division_learning_rate
    divisions[d, 2 * MARKET] += rate * (error_home + error_away) / 2
    divisions[d, 2 * MARKET + 1] += home_indicator * rate * (error_home - error_away) / 2


@njit(cache=True)
def _count_shots(club, day, has_shots, state):
    """Count the club's recent matches with shots, which tell whether its shot ratings mean anything."""
    days = state.shots_days[club]
    if has_shots:
        for i in range(len(days) - 1, 0, -1):
            days[i] = days[i - 1]
        days[0] = day
    count = 0
    for i in range(len(days)):
        if day - days[i] <= SHOTS_DAYS:
            count += 1
    state.clubs[club, MATCHES_WITH_SHOTS] = count


@njit(cache=True)
def update_ratings(matches, state, coefficients):
    """Update the arrays of a `RatingState` with all matches, in place.

    Parameters
    ----------
    matches : MatchArrays
        n matches; a match does not use results of the same day.
    state : RatingState
    coefficients : RatingCoefficients

    Returns
    -------
    Two arrays (n, len(STATE_COLUMNS)): the states of the home and the away clubs before each match.
    """
    clubs, divisions, total = state.clubs, state.divisions, state.total
    n = len(matches.day)
    growth = np.zeros(len(clubs))  # of the market ratings' variance since each club's last result
    before_home = np.empty((n, CLUB_COLUMNS + DIVISION_COLUMNS))
    before_away = np.empty((n, CLUB_COLUMNS + DIVISION_COLUMNS))
    first = 0
    while first < n:
        last = first
        while last < n and matches.day[last] == matches.day[first]:
            last += 1
        for i in range(first, last):  # record the states before the day
            d, season = matches.division[i], matches.season[i]
            if state.division_season[d] < season:
                _open_season(d, season, state, coefficients)
            for club in (matches.home[i], matches.away[i]):
                if state.club_season[club] < season or state.club_division[club] != d:
                    _first_match_of_season(club, d, season, state, coefficients)
                    total[d] += clubs[club, :N_POOLED_COLUMNS]
                    state.club_count[d] += 1
            before_home[i, :CLUB_COLUMNS] = clubs[matches.home[i]]
            before_away[i, :CLUB_COLUMNS] = clubs[matches.away[i]]
            before_home[i, CLUB_COLUMNS:] = divisions[d]
            before_away[i, CLUB_COLUMNS:] = divisions[d]
        for i in range(first, last):
            if not matches.known[i]:
                continue
            d, day = matches.division[i], matches.day[i]
            for club in (matches.home[i], matches.away[i]):
                if state.club_day[club] != day:  # once a day, though a club may have two matches
                    growth[club] = _age(club, d, day, state, coefficients.step[d])
                    state.club_day[club] = day
        for i in range(first, last):  # update the states with the day's results
            if not matches.known[i]:
                continue
            h, a, d, neutral = matches.home[i], matches.away[i], matches.division[i], matches.neutral[i]
            home_state, away_state, step = before_home[i], before_away[i], coefficients.step[d]
            difference = matches.counts[i, 0, 0] - matches.counts[i, 0, 1]
            home_indicator = 0.0 if neutral else 1.0
            _update_elo(h, a, d, home_state, away_state, home_indicator, difference, clubs, total, step)
            _update_pi(h, a, d, home_state, away_state, neutral, difference, clubs, total, step)
            for statistic in range(POISSON_STATISTICS):
                home_count, away_count = matches.counts[i, statistic, 0], matches.counts[i, statistic, 1]
                if not (np.isnan(home_count) or np.isnan(away_count)):
                    _update_poisson(
                        statistic,
                        h,
                        a,
                        d,
                        home_state,
                        away_state,
                        home_indicator,
                        home_count,
                        away_count,
                        clubs,
                        divisions,
                        total,
                        step,
                    )
            home_log_odds, away_log_odds = log_odds(matches.odds[i, 0], matches.odds[i, 1], matches.odds[i, 2])
            if np.isfinite(home_log_odds) and np.isfinite(away_log_odds):
                _update_market(
                    h,
                    a,
                    d,
                    home_state,
                    away_state,
                    growth,
                    home_indicator,
                    home_log_odds,
                    away_log_odds,
                    clubs,
                    divisions,
                    total,
                    step,
                )
            has_shots = not np.isnan(matches.counts[i, 1:]).any()
            for club in (h, a):
                _count_shots(club, matches.day[i], has_shots, state)
                clubs[club, PLAYED] += 1
                clubs[club, GAIN] = 1.0 + step.gain_decay * (clubs[club, GAIN] - 1.0)
        first = last
    return before_home, before_away
