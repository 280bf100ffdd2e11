"""Simulation of the rest of a season: the probability of each final position of each club."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import InvalidInputError
from features.league_rules import LeagueRules, rules_at
from features.matches import OUTCOMES, Status
from features.rulings import Ruling, rulings_of
from features.scorelines import MAX_GOALS, scorelines
from features.season_standings import final_standings
from features.table_matches import in_table

Ints = NDArray[np.int64]

COLUMNS = ("team", "played", "points", "expected_points", "p_title", "p_top_four", "p_relegation")
"""First columns of a simulated table; `position_1` to `position_n`, the probability of each final position, follow."""

MADE_FROM = pa.schema(
    [
        pa.field("season", pa.string(), nullable=False),
        pa.field("model_version", pa.int64(), nullable=False),
        pa.field("features_as_of", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""Further columns of the published table `season_forecast`: season, model version, time of the newest result in use.

Newer versions add `complete`, `places_known`, and as JSON `places` (zones of the table) and `caveats` (sentences).
"""


def simulate(
    season: pd.DataFrame,
    forecasts: pd.DataFrame,
    log_rates: NDArray[np.float64],
    rules: LeagueRules | None = None,
    runs: int = 10_000,
    seed: int = 0,
    as_of: datetime | None = None,
    rulings: Sequence[Ruling] = (),
) -> pd.DataFrame:
    """Simulate the remaining matches of one season many times and rank the clubs by the competition's rules.

    Matches beyond the competition's format, such as play-offs, do not count.

    Parameters
    ----------
    season : all matches of one competition and season, played ones with scores.
    forecasts : match_id and the probabilities home, draw, away of every remaining match, n rows in any order.
    log_rates : (n, 2) log expected goals of both sides in the order of `forecasts`. They shape the scores; the
        forecasts determine how often each side wins.
    rules : order of the table and relegation; None for the rules of the competition and season.
    runs : number of simulated seasons.
    seed : seed of the random scores and of the lots drawn between level clubs.
    as_of : rulings decided by then count; None for the time of the last result.
    rulings : points off the pitch that a user has entered.

    Returns
    -------
    DataFrame with `COLUMNS` and one column for each final position, the most expected points first.

    Raises
    ------
    InvalidInputError
        If a remaining match has no forecast, or the matches are not of one competition and season.
    """
    if season[["competition", "season"]].drop_duplicates().shape[0] != 1:
        raise InvalidInputError("simulate needs the matches of exactly one competition and season")
    rules = rules or rules_at(season, as_of)
    season = season[in_table(season, rules)]
    clubs = pd.Index(sorted(set(season["home_team"]) | set(season["away_team"])))
    played = (season["status"] == Status.PLAYED).to_numpy()
    remaining = season[~played]
    order = pd.Index(forecasts["match_id"]).get_indexer(pd.Index(remaining["match_id"]))
    if (order < 0).any():
        raise InvalidInputError(
            f"match {remaining['match_id'].iloc[int((order < 0).argmax())]} is not played yet and has no forecast"
        )
    scores = season.loc[played, ["home_goals", "away_goals"]].to_numpy(float).astype(np.int64)
    simulated = _draw(forecasts[list(OUTCOMES)].to_numpy(float)[order], log_rates[order], runs, seed)
    goals = np.empty((runs, len(season), 2), dtype=np.int64)
    goals[:, played], goals[:, ~played] = scores, simulated
    adjustments = _adjustments(season, played, clubs, as_of, rulings)
    points, position = final_standings(season, clubs, goals, rules, adjustments, seed)
    points_so_far, _ = final_standings(season[played], clubs, scores[None], rules, adjustments, seed)
    return _table(season[played], clubs, points, position, points_so_far[0], rules)


def _table(
    played: pd.DataFrame, clubs: pd.Index[str], points: Ints, position: Ints, points_so_far: Ints, rules: LeagueRules
) -> pd.DataFrame:
    """Sum up the simulated points and positions, both (runs, n_clubs), for each club."""
    share = np.stack([(position == place).mean(axis=0) for place in range(len(clubs))], axis=1)
    home, away = (clubs.get_indexer(pd.Index(played[side])) for side in ("home_team", "away_team"))
    table = pd.DataFrame(
        {
            "team": clubs,
            "played": np.bincount(home, minlength=len(clubs)) + np.bincount(away, minlength=len(clubs)),
            "points": points_so_far,
            "expected_points": points.mean(axis=0),
            "p_title": share[:, 0] if rules.has_champion else 0.0,
            "p_top_four": share[:, :4].sum(axis=1),
            "p_relegation": share[:, max(len(clubs) - rules.relegated, 0) :].sum(axis=1),
        }
    )
    places = pd.DataFrame(share, columns=[f"position_{place + 1}" for place in range(len(clubs))])
    full = pd.concat([table, places], axis=1)
    expected_place = share @ np.arange(len(clubs))  # decides where points do not: after a split, or per match
    by_place = rules.split is not None or rules.per_match
    order = pd.DataFrame({"points": points.mean(axis=0), "place": expected_place, "team": clubs})
    keys = ["place", "points", "team"] if by_place else ["points", "team"]
    rows = order.sort_values(keys, ascending=[key != "points" for key in keys]).index
    return full.loc[rows].reset_index(drop=True)


def _draw(p: NDArray[np.float64], log_rates: NDArray[np.float64], runs: int, seed: int) -> Ints:
    """Draw scores (runs, n, 2) from the score grids that are scaled to the forecasts."""
    if not len(p):
        return np.zeros((runs, 0, 2), dtype=np.int64)
    grid = scorelines(p, log_rates).grid.reshape(len(p), -1)
    edges = np.cumsum(grid / grid.sum(axis=1, keepdims=True), axis=1)
    uniform = np.random.default_rng(seed).random((len(p), runs))
    cell = np.stack([np.searchsorted(edge, draws, side="right") for edge, draws in zip(edges, uniform, strict=True)])
    cell = np.minimum(cell, grid.shape[1] - 1).T
    return np.stack([cell // (MAX_GOALS + 1), cell % (MAX_GOALS + 1)], axis=2)


def _adjustments(
    season: pd.DataFrame,
    played: NDArray[np.bool_],
    clubs: pd.Index[str],
    as_of: datetime | None,
    rulings: Sequence[Ruling],
) -> Ints:
    """Sum up the points (n_clubs,) off the pitch decided by `as_of`, or by the kick-off of the last result."""
    points = np.zeros(len(clubs), dtype=np.int64)
    if as_of is None and played.any():
        as_of = season.loc[played, "kick_off"].max().to_pydatetime()
    if as_of is not None and len(season):
        competition, year = str(season["competition"].iloc[0]), str(season["season"].iloc[0])
        for ruling in rulings_of(competition, year, as_of, rulings):
            points[clubs == ruling.club] += ruling.points
    return points
