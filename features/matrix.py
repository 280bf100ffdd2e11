"""The one way from states to model input: training, batch forecasts and online predictions all call `model_input`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.replay import ATTACK, DEFENCE, ELO, ELO_PLAIN, HOME, LEVEL, PI_AWAY, PI_HOME, RatingParams

Floats = NDArray[np.float64]

GOAL_FEATURES = ("elo", "pi", "pi_reverse", "log_home_goals", "log_away_goals")
"""Features that need scores only."""

REFERENCE_FEATURE = "elo_plain"
"""The one feature of the plain-Elo reference; no model is trained on it."""

FEATURES = (*GOAL_FEATURES, REFERENCE_FEATURE)
"""Columns of `model_input`. Which of them a model uses is written in its signature."""


def _expected_goals(rating: Floats) -> Floats:
    return np.sign(rating) * (10.0 ** (np.abs(rating) / 3.0) - 1.0)


def model_input(home: Floats, away: Floats, neutral: NDArray[np.bool_], params: RatingParams | None = None) -> Floats:
    """Model input (n, len(FEATURES)) from the states of both clubs.

    Parameters
    ----------
    home, away : (n, len(STATE_COLUMNS)) states before the match, columns as in `features.replay.STATE_COLUMNS`.
    neutral : (n,) True where neither club is at home.
    """
    params = params or RatingParams()
    ground = np.where(neutral, 0.0, 1.0)
    columns = (
        (home[:, ELO] + ground * params.elo.home_advantage - away[:, ELO]) / 400.0,
        _expected_goals(home[:, PI_HOME]) - _expected_goals(away[:, PI_AWAY]),
        _expected_goals(home[:, PI_AWAY]) - _expected_goals(away[:, PI_HOME]),
        home[:, LEVEL] + ground * home[:, HOME] + home[:, ATTACK] - away[:, DEFENCE],
        home[:, LEVEL] + away[:, ATTACK] - home[:, DEFENCE],
        (home[:, ELO_PLAIN] + ground * params.elo_plain.home_advantage - away[:, ELO_PLAIN]) / 400.0,
    )
    return np.column_stack(columns)


def feature_frame(matches: pd.DataFrame, home: Floats, away: Floats) -> pd.DataFrame:
    """`model_input` with the match_id and the columns a reader needs to place each row."""
    keys = matches[["match_id", "competition", "season", "kick_off", "home_team", "away_team", "status"]]
    values = model_input(home, away, matches["neutral"].to_numpy(bool))
    elo = pd.DataFrame({"home_elo": home[:, ELO], "away_elo": away[:, ELO]})  # for readers: what each club brought
    return pd.concat([keys.reset_index(drop=True), pd.DataFrame(values, columns=list(FEATURES)), elo], axis=1)
