"""Back-test of the season forecast: made at mid-season of past seasons, scored by the final tables."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.forecasts import states_of
from features.league_rules import rules_of
from features.matches import RESULT_COLUMNS, Status, outcomes
from features.matrix import FEATURES, GOAL_FEATURES, log_rates, model_input
from features.models import outcome_model
from features.rating_history import STATE_COLUMNS, compute_ratings
from features.season import simulate
from features.splits import after_burn_in, season_starts

Floats = NDArray[np.float64]

EVENTS = ("p_title", "p_top_four", "p_relegation")
BINS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.01)
"""Edges of the probabilities that are put together to see how often such events happen."""


def forecast_at(matches: pd.DataFrame, competition: str, first: int, runs: int = 10_000, seed: int = 0) -> pd.DataFrame:
    """Season forecasts of one league at mid-season, one row a club and season from `first` on.

    Parameters
    ----------
    matches : played matches of the league, and of others from which ratings and model learn too.

    Returns
    -------
    DataFrame with competition, season, team, `EVENTS`, for each event `happened_*` (0 or 1), `standing_*`: the event as
    given by the table at mid-season alone, and `usual_*`: its base rate. Unfinished seasons are skipped.
    """
    parts = []
    year = season_starts(matches["season"])
    for start in range(first, int(year.max()) + 1):
        upto = matches[year <= start].reset_index(drop=True)
        season = upto[(season_starts(upto["season"]) == start) & (upto["competition"] == competition)]
        clubs = season["home_team"].nunique()
        if len(season) != clubs * (clubs - 1):
            continue
        day = season["kick_off"].sort_values().iloc[len(season) // 2].floor("D")
        parts.append(_one(upto, season, day, runs, seed).assign(season=season["season"].iloc[0]))
    return pd.concat(parts, ignore_index=True).assign(competition=competition)


def _one(upto: pd.DataFrame, season: pd.DataFrame, day: pd.Timestamp, runs: int, seed: int) -> pd.DataFrame:
    known = upto.copy()
    later = (known["kick_off"] >= day).to_numpy()
    known.loc[later, "status"] = Status.SCHEDULED.value
    known.loc[later, list(RESULT_COLUMNS)] = np.nan
    run = compute_ratings(known)
    x = model_input(run.home, run.away, known["neutral"].to_numpy(bool))
    x = x[:, [FEATURES.index(name) for name in GOAL_FEATURES]]
    learn = after_burn_in(known) & (known["season"] < season["season"].iloc[0]).to_numpy()
    head = outcome_model(features=GOAL_FEATURES).fit(x[learn], outcomes(known[learn]))
    half = known[known["match_id"].isin(season["match_id"])].reset_index(drop=True)
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
    rules = rules_of(str(season["competition"].iloc[0]))
    places = {"p_title": 1, "p_top_four": 4, "p_relegation": rules.relegated}
    out = told[["team", *EVENTS]].assign(**{f"usual_{one[2:]}": places[one] / len(told) for one in EVENTS})
    for name, table in (("happened", end), ("standing", standing)):
        renamed = {event: f"{name}_{event[2:]}" for event in EVENTS}
        out = out.merge(table[["team", *EVENTS]].rename(columns=renamed), on="team")
    return out


def report(title: str, rows: pd.DataFrame) -> str:
    """Brier scores of each event against those of the base rate and of the table at mid-season, and the calibration.

    Clubs of one season share their luck, so standard errors are those of season means.
    """
    seasons = rows.groupby(["competition", "season"])
    lines = [
        f"{title}, season forecasts at mid-season, {rows['season'].min()} to {rows['season'].max()}, "
        f"{seasons.ngroups} seasons",
        f"{'':14}{'N':>5}  Brier ± s.e.      base rate   table at mid-season   minus table",
    ]
    for event in EVENTS:
        name = event[2:]
        happened = rows[f"happened_{name}"].to_numpy(float)
        own, base, table = (
            (rows[column].to_numpy(float) - happened) ** 2 for column in (event, f"usual_{name}", f"standing_{name}")
        )
        lines.append(
            f"{name:14}{len(rows):5}  {own.mean():.4f} ± {_error(own, rows):.4f}  {base.mean():.4f}  "
            f"{table.mean():15.4f}  {(own - table).mean():+22.4f} ± {_error(own - table, rows):.4f}"
        )
    return "\n".join(
        [*lines, "forecast probability -> observed frequency:", *(_calibration(rows, event) for event in EVENTS)]
    )


def _error(each: Floats, rows: pd.DataFrame) -> float:
    means = pd.Series(each, index=rows.index).groupby([rows["competition"], rows["season"]]).mean()
    return float(means.std(ddof=1) / np.sqrt(len(means)))


def _calibration(rows: pd.DataFrame, event: str) -> str:
    told, happened = rows[event], rows[f"happened_{event[2:]}"]
    parts = []
    for low, high in itertools.pairwise(BINS):
        inside = (told >= low) & (told < high)
        if inside.any():
            parts.append(f"{told[inside].mean():.0%} -> {happened[inside].mean():.0%} of {inside.sum()}")
    return f"{event[2:]:14}" + ", ".join(parts)
