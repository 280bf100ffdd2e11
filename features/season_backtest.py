"""Back-test of the season forecast: forecasts at mid-season of past seasons, scored against the final tables."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.forecasts import states_of
from features.league_rules import rules_of
from features.matches import RESULT_COLUMNS, Status, decided_on_pitch, outcomes
from features.matrix import FEATURES, GOAL_FEATURES, log_rates, model_input
from features.models import outcome_model
from features.rating_history import STATE_COLUMNS, compute_ratings
from features.season_simulation import simulate
from features.splits import after_burn_in, season_starts

Floats = NDArray[np.float64]

EVENTS = ("p_title", "p_top_four", "p_relegation")
BINS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.01)
"""Edges of the bins of forecast probabilities for the calibration table."""


def forecast_at(matches: pd.DataFrame, competition: str, first: int, runs: int = 10_000, seed: int = 0) -> pd.DataFrame:
    """Forecast the final tables of a league at mid-season.

    A season is skipped if it is unfinished or if not all clubs met exactly once at each ground.

    Parameters
    ----------
    matches : played matches of the league, and of other leagues that train ratings and model.
    competition : slug of the league.
    first : year in which the first forecast season begins.
    runs : number of simulated seasons for each forecast.
    seed : seed of the simulation.

    Returns
    -------
    DataFrame with one row for each club and season: competition, season, team, the probabilities `EVENTS`, and for each
    event `happened_*` (0 or 1), `standing_*` (0 or 1 by the table at mid-season) and `usual_*` (its base rate).
    """
    parts = []
    year = season_starts(matches["season"])
    for start in range(first, int(year.max()) + 1):
        known = matches[year <= start].reset_index(drop=True)
        season = known[(season_starts(known["season"]) == start) & (known["competition"] == competition)]
        clubs = season["home_team"].nunique()
        if len(season) != clubs * (clubs - 1):
            continue
        day = season["kick_off"].sort_values().iloc[len(season) // 2].floor("D")
        parts.append(_forecast_season(known, season, day, runs, seed).assign(season=season["season"].iloc[0]))
    return pd.concat(parts, ignore_index=True).assign(competition=competition)


def _forecast_season(
    matches: pd.DataFrame, season: pd.DataFrame, day: pd.Timestamp, runs: int, seed: int
) -> pd.DataFrame:
    """Forecast one season from the results before `day`, and add the final table and both baselines."""
    known = matches.copy()
    later = (known["kick_off"] >= day).to_numpy()
    known.loc[later, "status"] = Status.SCHEDULED.value
    known.loc[later, list(RESULT_COLUMNS)] = np.nan
    run = compute_ratings(known)
    x = model_input(run.home, run.away, known["neutral"].to_numpy(bool))
    x = x[:, [FEATURES.index(name) for name in GOAL_FEATURES]]
    earlier = (known["season"] < season["season"].iloc[0]).to_numpy()
    train = after_burn_in(known) & earlier & decided_on_pitch(known)
    model = outcome_model(features=GOAL_FEATURES).fit(x[train], outcomes(known[train]))
    mid_season = known[known["match_id"].isin(season["match_id"])].reset_index(drop=True)
    remaining = mid_season[mid_season["status"] != Status.PLAYED].reset_index(drop=True)
    home, away = (
        states_of(run.team_states, remaining[side], remaining["competition"])[list(STATE_COLUMNS)].to_numpy(float)
        for side in ("home_team", "away_team")
    )
    home_indicator = np.where(remaining["neutral"], 0.0, 1.0)
    x = model_input(home, away, home_indicator == 0)[:, [FEATURES.index(name) for name in GOAL_FEATURES]]
    p = model.predict_proba(x)
    forecasts = remaining[["match_id"]].assign(home=p[:, 0], draw=p[:, 1], away=p[:, 2])
    simulated = simulate(
        mid_season, forecasts, np.column_stack(log_rates(home, away, home_indicator)), runs=runs, seed=seed
    )
    no_forecasts, no_rates = forecasts.head(0), np.zeros((0, 2))
    final = simulate(season.reset_index(drop=True), no_forecasts, no_rates, runs=1)
    played = mid_season[mid_season["status"] == Status.PLAYED].reset_index(drop=True)
    standing = simulate(played, no_forecasts, no_rates, runs=1)
    rules = rules_of(str(season["competition"].iloc[0]))
    places = {"p_title": 1, "p_top_four": 4, "p_relegation": rules.relegated}
    base_rates = {f"usual_{event[2:]}": places[event] / len(simulated) for event in EVENTS}
    out = simulated[["team", *EVENTS]].assign(**base_rates)
    for name, table in (("happened", final), ("standing", standing)):
        renamed = {event: f"{name}_{event[2:]}" for event in EVENTS}
        out = out.merge(table[["team", *EVENTS]].rename(columns=renamed), on="team")
    return out


def report(title: str, rows: pd.DataFrame) -> str:
    """Format the Brier score of each event, the scores of both baselines, and the calibration.

    The baselines are the base rate and the table at mid-season. Results of clubs in one season depend on each other, so
    standard errors are computed from season means.
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
            f"{name:14}{len(rows):5}  {own.mean():.4f} ± {_standard_error(own, rows):.4f}  {base.mean():.4f}  "
            f"{table.mean():15.4f}  {(own - table).mean():+22.4f} ± {_standard_error(own - table, rows):.4f}"
        )
    return "\n".join(
        [*lines, "forecast probability -> observed frequency:", *(_calibration(rows, event) for event in EVENTS)]
    )


def _standard_error(scores: Floats, rows: pd.DataFrame) -> float:
    """Compute the standard error of the mean score (n,) from season means."""
    means = pd.Series(scores, index=rows.index).groupby([rows["competition"], rows["season"]]).mean()
    return float(means.std(ddof=1) / np.sqrt(len(means)))


def _calibration(rows: pd.DataFrame, event: str) -> str:
    """Format mean forecast probability, observed frequency and number of forecasts in each bin."""
    forecast, happened = rows[event], rows[f"happened_{event[2:]}"]
    parts = []
    for low, high in itertools.pairwise(BINS):
        inside = (forecast >= low) & (forecast < high)
        if inside.any():
            parts.append(f"{forecast[inside].mean():.0%} -> {happened[inside].mean():.0%} of {inside.sum()}")
    return f"{event[2:]:14}" + ", ".join(parts)
