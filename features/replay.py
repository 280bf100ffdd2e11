"""The one pass through time: every match sees the ratings that stood on the evening before it.

A *state* is a row of `STATE_COLUMNS`: what is known of one club in one division. `replay` returns the state of both
clubs before each match (training, back-test) and each club's state after the last known result (`team_states`, from
which batch forecasts and online predictions are made). Both go through `features.matrix.model_input`.

Matches of one calendar day do not see each other's results, whatever their kick-off.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.compiled import njit
from features.matches import Status
from features.ratings.elo import EloParams, plain_elo
from features.ratings.elo import change as elo_change
from features.ratings.pi import PiParams
from features.ratings.pi import surprise as pi_surprise
from features.ratings.poisson import PoissonParams

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STATE_COLUMNS = (
    "elo",
    "pi_home",
    "pi_away",
    "attack",
    "defence",
    "elo_plain",  # K=20, goals not counted: the reference, never a feature of the model
    "played",  # matches this club has behind it in the data
    "level",  # of the division: log goals of an average side away from home
    "home_advantage",  # of the division: log factor on the home side's goals
)
ELO, PI_HOME, PI_AWAY, ATTACK, DEFENCE, ELO_PLAIN, PLAYED, LEVEL, HOME = range(len(STATE_COLUMNS))
_CLUB_COLUMNS = PLAYED + 1


@dataclass(frozen=True)
class RatingParams:
    """Parameters of all rating systems."""

    elo: EloParams = field(default_factory=EloParams)
    elo_plain: EloParams = field(default_factory=plain_elo)
    pi: PiParams = field(default_factory=PiParams)
    poisson: PoissonParams = field(default_factory=PoissonParams)


@dataclass(frozen=True)
class Replay:
    """States before each match, (n, len(STATE_COLUMNS)) in the order of the given table, and the states at the end."""

    home: Floats
    away: Floats
    team_states: pd.DataFrame


@njit(cache=True)
def _enter(states, member, season_of, team, division, season, mean, elo, pi, poisson):  # type: ignore[no-untyped-def]
    """A club's first match of a season: newcomers start below the division's mean, the others are pulled towards it."""
    absent = season_of[team] < season - 1 or member[team] != division
    if absent:
        states[team, ELO] = mean[ELO] + elo.newcomer
        states[team, PI_HOME] = mean[PI_HOME] + pi.newcomer
        states[team, PI_AWAY] = mean[PI_AWAY] + pi.newcomer
        states[team, ATTACK] = mean[ATTACK] + poisson.newcomer
        states[team, DEFENCE] = mean[DEFENCE] + poisson.newcomer
    else:
        states[team, ELO] += elo.pull * (mean[ELO] - states[team, ELO])
        states[team, ATTACK] += poisson.pull * (mean[ATTACK] - states[team, ATTACK])
        states[team, DEFENCE] += poisson.pull * (mean[DEFENCE] - states[team, DEFENCE])
    member[team] = division
    season_of[team] = season


@njit(cache=True)
def _means(states, member, season_of, division, season):  # type: ignore[no-untyped-def]
    """Mean state of the division's clubs of the season before; zeros with the Elo start where there were none."""
    mean = np.zeros(_CLUB_COLUMNS)
    count = 0
    for team in range(len(member)):
        if member[team] == division and season_of[team] == season - 1:
            mean += states[team, :_CLUB_COLUMNS]
            count += 1
    return mean / count if count else mean, count


@njit(cache=True)
def _run(  # type: ignore[no-untyped-def]
    day,
    division,
    season,
    home,
    away,
    goals_home,
    goals_away,
    neutral,
    known,
    n_teams,
    n_divisions,
    elo,
    plain,
    pi,
    poisson,
):
    n = len(day)
    states = np.zeros((n_teams, _CLUB_COLUMNS))
    states[:, ELO] = elo.start
    states[:, ELO_PLAIN] = plain.start
    member = np.full(n_teams, -1)
    season_of = np.full(n_teams, -1)
    divisions = np.empty((n_divisions, 2))
    divisions[:, 0] = poisson.level
    divisions[:, 1] = poisson.home
    means = np.zeros((n_divisions, _CLUB_COLUMNS))
    mean_of = np.full(n_divisions, -1)
    before_home = np.empty((n, _CLUB_COLUMNS + 2))
    before_away = np.empty((n, _CLUB_COLUMNS + 2))
    start = 0
    while start < n:
        stop = start
        while stop < n and day[stop] == day[start]:
            stop += 1
        for i in range(start, stop):  # what every match of the day sees
            d, s = division[i], season[i]
            if mean_of[d] != s:
                mean, count = _means(states, member, season_of, d, s)
                if count == 0:  # the division's first season in the data: all start level, nobody is a newcomer
                    mean[ELO] = elo.start - elo.newcomer
                    mean[PI_HOME] = mean[PI_AWAY] = -pi.newcomer
                    mean[ATTACK] = mean[DEFENCE] = -poisson.newcomer
                means[d] = mean
                mean_of[d] = s
            for team in (home[i], away[i]):
                if season_of[team] != s or member[team] != d:
                    _enter(states, member, season_of, team, d, s, means[d], elo, pi, poisson)
            before_home[i, :_CLUB_COLUMNS] = states[home[i]]
            before_away[i, :_CLUB_COLUMNS] = states[away[i]]
            before_home[i, _CLUB_COLUMNS:] = divisions[d]
            before_away[i, _CLUB_COLUMNS:] = divisions[d]
        for i in range(start, stop):  # what the day's results change
            if not known[i]:
                continue
            h, a, d = home[i], away[i], division[i]
            bh, ba = before_home[i], before_away[i]
            difference = goals_home[i] - goals_away[i]
            ground = 0.0 if neutral[i] else 1.0
            points = elo_change(bh[ELO] + ground * elo.home_advantage - ba[ELO], difference, elo.k, elo.gamma)
            states[h, ELO] += points
            states[a, ELO] -= points
            gap = bh[ELO_PLAIN] + ground * plain.home_advantage - ba[ELO_PLAIN]
            points = elo_change(gap, difference, plain.k, plain.gamma)
            states[h, ELO_PLAIN] += points
            states[a, ELO_PLAIN] -= points
            step = pi.rate * pi_surprise(bh[PI_HOME], ba[PI_AWAY], difference)
            states[h, PI_HOME] += step
            states[h, PI_AWAY] += pi.carry * step
            states[a, PI_AWAY] -= step
            states[a, PI_HOME] -= pi.carry * step
            average = np.exp(bh[LEVEL])
            error_home = (goals_home[i] - np.exp(bh[LEVEL] + ground * bh[HOME] + bh[ATTACK] - ba[DEFENCE])) / average
            error_away = (goals_away[i] - np.exp(bh[LEVEL] + ba[ATTACK] - bh[DEFENCE])) / average
            states[h, ATTACK] += poisson.rate * error_home
            states[a, DEFENCE] -= poisson.rate * error_home
            states[a, ATTACK] += poisson.rate * error_away
            states[h, DEFENCE] -= poisson.rate * error_away
            divisions[d, 0] += poisson.division_rate * (error_home + error_away) / 2
            divisions[d, 1] += ground * poisson.division_rate * (error_home - error_away) / 2
            states[h, PLAYED] += 1
            states[a, PLAYED] += 1
        start = stop
    return before_home, before_away, states, divisions, member, season_of


def replay(matches: pd.DataFrame, params: RatingParams | None = None) -> Replay:
    """Run the ratings through a matches table (sorted by kick-off; fixtures without score allowed).

    Parameters
    ----------
    matches : DataFrame, columns of `features.matches.SCHEMA`, n rows.
    params : rating parameters; the defaults are those chosen by the back-test.

    Returns
    -------
    Replay
        `team_states` has one row per club of each competition's latest season: competition, season, team,
        `features_as_of` (kick-off of the last result that went in), and `STATE_COLUMNS`.
    """
    params = params or RatingParams()
    order = np.argsort(matches["kick_off"].to_numpy(), kind="stable")
    ordered = matches.iloc[order]
    divisions, division_names = pd.factorize(ordered["competition"])
    teams, team_names = pd.factorize(pd.concat([ordered["home_team"], ordered["away_team"]], ignore_index=True))
    season_start = ordered["season"].str[:4].astype("int64").to_numpy()
    known = (ordered["status"] == Status.PLAYED).to_numpy()
    n = len(ordered)
    before_home, before_away, states, division_states, member, season_of = _run(
        ordered["kick_off"].dt.floor("D").astype("int64").to_numpy(),
        divisions.astype(np.int64),
        season_start,
        teams[:n].astype(np.int64),
        teams[n:].astype(np.int64),
        np.nan_to_num(ordered["home_goals"].to_numpy(float)),
        np.nan_to_num(ordered["away_goals"].to_numpy(float)),
        ordered["neutral"].to_numpy(bool),
        known,
        len(team_names),
        len(division_names),
        params.elo,
        params.elo_plain,
        params.pi,
        params.poisson,
    )
    home, away = np.empty_like(before_home), np.empty_like(before_away)
    home[order], away[order] = before_home, before_away

    latest = ordered.groupby("competition")["season"].max()
    last_result = ordered["kick_off"].where(known).max()
    rows = pd.DataFrame(np.hstack([states, division_states[np.maximum(member, 0)]]), columns=list(STATE_COLUMNS))
    rows.insert(0, "competition", np.asarray(division_names)[np.maximum(member, 0)])
    rows.insert(1, "season", rows["competition"].map(latest).to_numpy())
    rows.insert(2, "team", np.asarray(team_names))
    rows["features_as_of"] = last_result
    rows = rows[["competition", "season", "team", "features_as_of", *STATE_COLUMNS]]
    current = season_of == rows["season"].str[:4].astype("int64").to_numpy()
    return Replay(home, away, rows[current].sort_values(["competition", "team"]).reset_index(drop=True))
