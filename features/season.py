"""The rest of a season played many times: where each club may finish."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import InvalidInputError
from features.league_rules import LeagueRules, points_adjustments, rules_of
from features.matches import OUTCOMES, Status
from features.scorelines import MAX_GOALS, scorelines
from features.standings import standings

Ints = NDArray[np.int64]

COLUMNS = ("team", "played", "points", "expected_points", "p_title", "p_top_four", "p_relegation")
"""What a simulation gives; after them `position_1` to `position_n`, the probability of each final position."""

MADE_FROM = pa.schema(
    [
        pa.field("season", pa.string(), nullable=False),
        pa.field("model_version", pa.int64(), nullable=False),
        pa.field("features_as_of", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""What every row of a published `season_forecast` tells besides: which season, by which model, knowing what."""


def simulate(
    season: pd.DataFrame,
    forecasts: pd.DataFrame,
    log_rates: NDArray[np.float64],
    rules: LeagueRules | None = None,
    runs: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Play the remaining matches of one season many times.

    Parameters
    ----------
    season : all matches of one competition and season, played ones with scores.
    forecasts : rows with match_id, home, draw, away for every match still to play, n rows.
    log_rates : (n, 2) log expected goals of both sides in the order of `forecasts`: they shape the scores, the
        forecast decides how often each side wins.
    runs : simulated seasons.

    Returns
    -------
    DataFrame with `COLUMNS` and a column per final position, best club first.

    Raises
    ------
    InvalidInputError
        If a match to come has no forecast, or the matches are not of one season.
    """
    if season[["competition", "season"]].drop_duplicates().shape[0] != 1:
        raise InvalidInputError("simulate takes the matches of one competition and season")
    rules = rules or rules_of(str(season["competition"].iloc[0]), str(season["season"].iloc[0]))
    clubs = pd.Index(sorted(set(season["home_team"]) | set(season["away_team"])))
    played = (season["status"] == Status.PLAYED).to_numpy()
    to_come = season[~played]
    order = pd.Index(forecasts["match_id"]).get_indexer(pd.Index(to_come["match_id"]))
    if (order < 0).any():
        raise InvalidInputError(f"{to_come['match_id'].iloc[int((order < 0).argmax())]} is to come but has no forecast")
    home, away = (clubs.get_indexer(pd.Index(season[side])) for side in ("home_team", "away_team"))
    now = season.loc[played, ["home_goals", "away_goals"]].to_numpy(float).astype(np.int64)
    drawn = _draw(forecasts[list(OUTCOMES)].to_numpy(float)[order], log_rates[order], runs, seed)
    goals = np.empty((runs, len(season), 2), dtype=np.int64)
    goals[:, played], goals[:, ~played] = now, drawn
    rulings = _rulings(season, played, clubs)
    points, position = standings(home, away, goals, rules.ties, rulings, seed)
    so_far, _ = standings(home[played], away[played], now[None], (), rulings)
    share = np.stack([(position == place).mean(axis=0) for place in range(len(clubs))], axis=1)
    games = np.bincount(home[played], minlength=len(clubs)) + np.bincount(away[played], minlength=len(clubs))
    table = pd.DataFrame(
        {
            "team": clubs,
            "played": games,
            "points": so_far[0],
            "expected_points": points.mean(axis=0),
            "p_title": share[:, 0],
            "p_top_four": share[:, :4].sum(axis=1),
            "p_relegation": share[:, max(len(clubs) - rules.relegated, 0) :].sum(axis=1),
        }
    )
    places = pd.DataFrame(share, columns=[f"position_{place + 1}" for place in range(len(clubs))])
    whole = pd.concat([table, places], axis=1)
    return whole.sort_values(["expected_points", "team"], ascending=[False, True], ignore_index=True)


def _draw(p: NDArray[np.float64], log_rates: NDArray[np.float64], runs: int, seed: int) -> Ints:
    """Scores (runs, n, 2), drawn from the score grids that agree with the forecasts."""
    if not len(p):
        return np.zeros((runs, 0, 2), dtype=np.int64)
    grid = scorelines(p, log_rates).grid.reshape(len(p), -1)
    edges = np.cumsum(grid / grid.sum(axis=1, keepdims=True), axis=1)
    chance = np.random.default_rng(seed).random((len(p), runs))
    cell = np.stack([np.searchsorted(edge, one, side="right") for edge, one in zip(edges, chance, strict=True)])
    cell = np.minimum(cell, grid.shape[1] - 1).T
    return np.stack([cell // (MAX_GOALS + 1), cell % (MAX_GOALS + 1)], axis=2)


def _rulings(season: pd.DataFrame, played: NDArray[np.bool_], clubs: pd.Index[str]) -> Ints:
    """Points (n_clubs,) awarded or deducted off the pitch, as far as decided when the last result came in."""
    points = np.zeros(len(clubs), dtype=np.int64)
    if played.any():
        moment = season.loc[played, "kick_off"].max().to_pydatetime()
        for one in points_adjustments(str(season["competition"].iloc[0]), str(season["season"].iloc[0]), moment):
            points[clubs == one.club] += one.points
    return points
