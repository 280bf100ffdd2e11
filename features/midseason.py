"""The back-test of the season forecast: issued at mid-season over past seasons, scored by how they ended."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.forecasts import states_of
from features.matches import RESULT_COLUMNS, Status, outcomes
from features.matrix import FEATURES, GOAL_FEATURES, log_rates, model_input
from features.models import outcome_model
from features.places import rules_of
from features.replay import STATE_COLUMNS, replay
from features.season import simulate
from features.splits import season_starts

Floats = NDArray[np.float64]

EVENTS = ("p_title", "p_top_four", "p_relegation")


def issued(matches: pd.DataFrame, first: int, runs: int = 10_000, seed: int = 0) -> pd.DataFrame:
    """Season forecasts of one league at mid-season, one row a club and season from `first` on.

    Returns
    -------
    DataFrame with season, team, `EVENTS`, for each event `happened_*` (0 or 1), and `standing_*`: the event as told by
    the table at mid-season alone.
    """
    parts = []
    for start in range(first, int(season_starts(matches["season"]).max()) + 1):
        year = season_starts(matches["season"])
        upto = matches[year <= start].reset_index(drop=True)
        season = upto[season_starts(upto["season"]) == start]
        day = season["kick_off"].sort_values().iloc[len(season) // 2].floor("D")
        parts.append(_one(upto, season, day, runs, seed).assign(season=season["season"].iloc[0]))
    return pd.concat(parts, ignore_index=True)


def _one(upto: pd.DataFrame, season: pd.DataFrame, day: pd.Timestamp, runs: int, seed: int) -> pd.DataFrame:
    known = upto.copy()
    later = (known["kick_off"] >= day).to_numpy()
    known.loc[later, "status"] = Status.SCHEDULED.value
    known.loc[later, list(RESULT_COLUMNS)] = np.nan
    run = replay(known)
    x = model_input(run.home, run.away, known["neutral"].to_numpy(bool))
    x = x[:, [FEATURES.index(name) for name in GOAL_FEATURES]]
    start = season_starts(known["season"])
    learn = (start > start.min()) & (start < start.max())
    head = outcome_model(features=GOAL_FEATURES).fit(x[learn], outcomes(known[learn]))
    half = known[start == start.max()].reset_index(drop=True)
    ahead = half[half["status"] != Status.PLAYED].reset_index(drop=True)
    home, away = (
        states_of(run.team_states, ahead[side], ahead["competition"])[list(STATE_COLUMNS)].to_numpy(float)
        for side in ("home_team", "away_team")
    )
    ground = np.where(ahead["neutral"], 0.0, 1.0)
    p = head.predict_proba(model_input(home, away, ground == 0)[:, [FEATURES.index(name) for name in GOAL_FEATURES]])
    rows = ahead[["match_id"]].assign(home=p[:, 0], draw=p[:, 1], away=p[:, 2])
    told = simulate(half, rows, np.column_stack(log_rates(home, away, ground)), runs=runs, seed=seed)
    nothing, no_rates = rows.head(0), np.zeros((0, 2))
    end = simulate(season.reset_index(drop=True), nothing, no_rates, runs=1)
    standing = simulate(half[half["status"] == Status.PLAYED].reset_index(drop=True), nothing, no_rates, runs=1)
    out = told[["team", *EVENTS]]
    for name, table in (("happened", end), ("standing", standing)):
        renamed = {event: f"{name}_{event[2:]}" for event in EVENTS}
        out = out.merge(table[["team", *EVENTS]].rename(columns=renamed), on="team")
    return out


def report(title: str, rows: pd.DataFrame, competition: str) -> str:
    """Brier scores of each event against those of the base rate and of the table at mid-season."""
    rules, clubs = rules_of(competition), rows.groupby("season")["team"].size().iloc[0]
    places = {"p_title": 1, "p_top_four": 4, "p_relegation": rules.relegated}
    lines = [
        f"{title}, season forecasts at mid-season, {rows['season'].min()} to {rows['season'].max()}",
        f"{'':14}{'N':>5}  Brier ± s.e.      base rate   table at mid-season   minus table",
    ]
    for event in EVENTS:
        happened = rows[f"happened_{event[2:]}"].to_numpy(float)
        own = (rows[event].to_numpy(float) - happened) ** 2
        base = (places[event] / clubs - happened) ** 2
        table = (rows[f"standing_{event[2:]}"].to_numpy(float) - happened) ** 2
        n = len(rows)
        lines.append(
            f"{event[2:]:14}{n:5}  {own.mean():.4f} ± {own.std(ddof=1) / np.sqrt(n):.4f}  {base.mean():.4f}  "
            f"{table.mean():15.4f}  {(own - table).mean():+22.4f} ± {(own - table).std(ddof=1) / np.sqrt(n):.4f}"
        )
    return "\n".join(lines)
