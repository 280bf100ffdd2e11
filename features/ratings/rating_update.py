"""The compiled loop that books matches into the ledger, day by day. Only a replay imports it, and numba with it."""

# mypy: disable-error-code="no-untyped-def"
# numba takes the types of its functions from what they are called with.

from __future__ import annotations

import numpy as np
from numba import njit

from features.ratings.elo import change as elo_change
from features.ratings.pi import error_after_diminishing as pi_error
from features.ratings.rating_state import (
    ATTACK,
    CLUB_COLUMNS,
    DIVISION_COLUMNS,
    ELO,
    ELO_PLAIN,
    GAIN,
    LEVEL,
    N_POOLED_COLUMNS,
    PI_AWAY,
    PI_HOME,
    PLAYED,
    POISSON_ENGINES,
)

_K, _GAMMA, _GROUND, _PLAIN_K, _PLAIN_GAMMA, _PLAIN_GROUND, _PI_RATE, _PI_CARRY, _SUMMER, _PROMOTION, _FADE, _RATES = (
    range(12)
)
"""Columns of the steps that `Rules` lays out."""


@njit(cache=True)
def _open_season(d, season, division_season, total, count, mean, settled, start):
    """The division's first match of a season: last season's members become the mean that summer pulls towards."""
    settled[d] = count[d] > 0
    mean[d] = total[d] / count[d] if count[d] > 0 else start[d]
    total[d] = 0.0
    count[d] = 0.0
    division_season[d] = season


@njit(cache=True)
def _first_match_of_season(club, d, season, clubs, season_of, member, mean, settled, newcomer, pull, step):
    """A club's first match of a season: unknown or long absent ones are newcomers, others are pulled to the mean."""
    first = season_of[club] < 0
    if first or season_of[club] < season - 1:
        for c in range(N_POOLED_COLUMNS):
            clubs[club, c] = mean[d, c] + (newcomer[d, c] if settled[d] else 0.0)
        clubs[club, GAIN] = 1.0 + step[_PROMOTION]
    elif season_of[club] < season:
        for c in range(N_POOLED_COLUMNS):
            clubs[club, c] += (pull[d, c] if settled[d] else 0.0) * (mean[d, c] - clubs[club, c])
        clubs[club, GAIN] += step[_SUMMER]
    season_of[club] = season
    member[club] = d


@njit(cache=True)
def _add_to_state(club, d, column, change, clubs, total):
    clubs[club, column] += change
    total[d, column] += change


@njit(cache=True)
def _poisson(engine, h, a, d, bh, ba, ground, home_count, away_count, clubs, divisions, total, step):
    """Book one count of both sides (goals, shots on target or shots) into attack, defence and the division's level."""
    attack, level = ATTACK + 2 * engine, LEVEL + 2 * engine
    average = np.exp(bh[level])
    error_home = (home_count - np.exp(bh[level] + ground * bh[level + 1] + bh[attack] - ba[attack + 1])) / average
    error_away = (away_count - np.exp(bh[level] + ba[attack] - bh[attack + 1])) / average
    rate, division_rate = step[_RATES + 2 * engine], step[_RATES + 2 * engine + 1]
    _add_to_state(h, d, attack, rate * bh[GAIN] * error_home, clubs, total)
    _add_to_state(a, d, attack + 1, -rate * ba[GAIN] * error_home, clubs, total)
    _add_to_state(a, d, attack, rate * ba[GAIN] * error_away, clubs, total)
    _add_to_state(h, d, attack + 1, -rate * bh[GAIN] * error_away, clubs, total)
    divisions[d, 2 * engine] += division_rate * (error_home + error_away) / 2
    divisions[d, 2 * engine + 1] += ground * division_rate * (error_home - error_away) / 2


@njit(cache=True)
def _elo(h, a, d, bh, ba, ground, difference, clubs, total, step):
    points = elo_change(bh[ELO] + ground * step[_GROUND] - ba[ELO], difference, step[_K], step[_GAMMA])
    _add_to_state(h, d, ELO, bh[GAIN] * points, clubs, total)
    _add_to_state(a, d, ELO, -ba[GAIN] * points, clubs, total)
    gap = bh[ELO_PLAIN] + ground * step[_PLAIN_GROUND] - ba[ELO_PLAIN]
    points = elo_change(gap, difference, step[_PLAIN_K], step[_PLAIN_GAMMA])
    clubs[h, ELO_PLAIN] += points
    clubs[a, ELO_PLAIN] -= points


@njit(cache=True)
def _pi(h, a, d, bh, ba, neutral, difference, clubs, total, step):
    if neutral:  # both clubs are what they are on average, and both of their ratings learn alike
        mine, theirs = (bh[PI_HOME] + bh[PI_AWAY]) / 2, (ba[PI_HOME] + ba[PI_AWAY]) / 2
        move = step[_PI_RATE] * (1.0 + step[_PI_CARRY]) / 2 * pi_error(mine, theirs, difference)
        carried = move
    else:
        move = step[_PI_RATE] * pi_error(bh[PI_HOME], ba[PI_AWAY], difference)
        carried = step[_PI_CARRY] * move
    _add_to_state(h, d, PI_HOME, bh[GAIN] * move, clubs, total)
    _add_to_state(h, d, PI_AWAY, bh[GAIN] * carried, clubs, total)
    _add_to_state(a, d, PI_AWAY, -ba[GAIN] * move, clubs, total)
    _add_to_state(a, d, PI_HOME, -ba[GAIN] * carried, clubs, total)


@njit(cache=True)
def update_ratings(
    day,
    division,
    season,
    home,
    away,
    counts,
    neutral,
    known,
    steps,
    start,
    newcomer,
    pull,
    clubs,
    season_of,
    member,
    divisions,
    division_season,
    total,
    count,
    mean,
    settled,
):
    """Book all matches, sorted by day, into the arrays of a ledger (in place); return what each match saw before.

    `counts` is (n, ENGINES, 2), home and away, NaN where unknown; `known` says which matches have a score.
    """
    n = len(day)
    before_home = np.empty((n, CLUB_COLUMNS + DIVISION_COLUMNS))
    before_away = np.empty((n, CLUB_COLUMNS + DIVISION_COLUMNS))
    first = 0
    while first < n:
        last = first
        while last < n and day[last] == day[first]:
            last += 1
        for i in range(first, last):  # what every match of the day sees
            d, s = division[i], season[i]
            if division_season[d] < s:
                _open_season(d, s, division_season, total, count, mean, settled, start)
            for club in (home[i], away[i]):
                if season_of[club] < s or member[club] != d:
                    _first_match_of_season(
                        club, d, s, clubs, season_of, member, mean, settled, newcomer, pull, steps[d]
                    )
                    total[d] += clubs[club, :N_POOLED_COLUMNS]
                    count[d] += 1
            before_home[i, :CLUB_COLUMNS] = clubs[home[i]]
            before_away[i, :CLUB_COLUMNS] = clubs[away[i]]
            before_home[i, CLUB_COLUMNS:] = divisions[d]
            before_away[i, CLUB_COLUMNS:] = divisions[d]
        for i in range(first, last):  # what the day's results change
            if not known[i]:
                continue
            h, a, d = home[i], away[i], division[i]
            bh, ba, step = before_home[i], before_away[i], steps[d]
            difference = counts[i, 0, 0] - counts[i, 0, 1]
            ground = 0.0 if neutral[i] else 1.0
            _elo(h, a, d, bh, ba, ground, difference, clubs, total, step)
            _pi(h, a, d, bh, ba, neutral[i], difference, clubs, total, step)
            for engine in range(POISSON_ENGINES):
                home_count, away_count = counts[i, engine, 0], counts[i, engine, 1]
                if not (np.isnan(home_count) or np.isnan(away_count)):
                    _poisson(engine, h, a, d, bh, ba, ground, home_count, away_count, clubs, divisions, total, step)
            for club in (h, a):
                clubs[club, PLAYED] += 1
                clubs[club, GAIN] = 1.0 + step[_FADE] * (clubs[club, GAIN] - 1.0)
        first = last
    return before_home, before_away
