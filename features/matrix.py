"""The one way from states to model input: training, batch forecasts and online predictions all call `model_input`."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.ratings.ledger import ATTACK, ELO, ELO_PLAIN, ENGINES, LEVEL, PI_AWAY, PI_HOME

Floats = NDArray[np.float64]

GOAL_FEATURES = ("elo", "pi", "pi_reverse", "log_home_goals", "log_away_goals")
"""Features that need scores only."""

REFERENCE_FEATURE = "elo_plain"
"""The one feature of the plain-Elo reference; no model is trained on it."""

SHOT_FEATURES = ("log_home_on_target", "log_away_on_target", "log_home_shots", "log_away_shots")
"""Features that need shots and shots on target."""


class FeatureGroup(StrEnum):
    """What the served model is trained on.

    Odds are a group of the back-test only: a worker sees states of clubs and no odds of a match, and the odds of past
    matches bear no time at which they were known.
    """

    GOALS = "goals"
    SHOTS = "shots"


FEATURE_GROUPS = {FeatureGroup.GOALS: GOAL_FEATURES, FeatureGroup.SHOTS: (*GOAL_FEATURES, *SHOT_FEATURES)}
"""Columns of each group."""

FEATURES = (*GOAL_FEATURES, *SHOT_FEATURES, REFERENCE_FEATURE)
"""Columns of `model_input`. Which of them a model uses is written in its signature."""

_PAIRS = [
    (FEATURES.index(f"log_home_{count}"), FEATURES.index(f"log_away_{count}"))
    for count in ("goals", "on_target", "shots")
]
"""Columns of what each side is expected to do; every other feature is a difference between home and away."""

SYSTEMS = {
    "elo": ("elo",),
    "pi": ("pi", "pi_reverse"),
    "goals": ("log_home_goals", "log_away_goals"),
    "shots on target": ("log_home_on_target", "log_away_on_target"),
    "shots": ("log_home_shots", "log_away_shots"),
}
"""Which features each rating system gives."""

HOME_POINTS = 60.0
"""Elo points for playing at home. A model finds its own intercept; this tells it what neutral ground takes away, and
what it leaves goes when both orders of the clubs are asked for (`features.forecasts.predict`)."""


def _expected_goals(rating: Floats) -> Floats:
    return np.sign(rating) * (10.0 ** (np.abs(rating) / 3.0) - 1.0)


def model_input(home: Floats, away: Floats, neutral: NDArray[np.bool_]) -> Floats:
    """Model input (n, len(FEATURES)) from the states of both clubs.

    Parameters
    ----------
    home, away : (n, len(STATE_COLUMNS)) states before the match, columns as in `features.replay.STATE_COLUMNS`.
    neutral : (n,) True where neither club is at home.
    """
    ground = np.where(neutral, 0.0, 1.0)
    elo = (home[:, ELO] + ground * HOME_POINTS - away[:, ELO]) / 400.0
    pi = _expected_goals(home[:, PI_HOME]) - _expected_goals(away[:, PI_AWAY])
    pi_reverse = _expected_goals(home[:, PI_AWAY]) - _expected_goals(away[:, PI_HOME])
    if neutral.any():  # a club is there what it is on average
        means = [_expected_goals((side[:, PI_HOME] + side[:, PI_AWAY]) / 2) for side in (home, away)]
        pi, pi_reverse = (np.where(neutral, means[0] - means[1], one) for one in (pi, pi_reverse))
    rates = [rate for engine in range(ENGINES) for rate in log_rates(home, away, ground, engine)]
    plain = (home[:, ELO_PLAIN] + ground * HOME_POINTS - away[:, ELO_PLAIN]) / 400.0
    return np.column_stack([elo, pi, pi_reverse, *rates, plain])


def exchanged(x: Floats) -> Floats:
    """Model input (n, len(FEATURES)) of the same matches on neutral ground with the clubs in the other order."""
    out = -x
    for mine, theirs in _PAIRS:
        out[:, [mine, theirs]] = x[:, [theirs, mine]]
    return out


def log_rates(home: Floats, away: Floats, ground: Floats, engine: int = 0) -> tuple[Floats, Floats]:
    """Log of the expected counts of both sides: goals (engine 0), shots on target (1), shots (2)."""
    attack, level = ATTACK + 2 * engine, LEVEL + 2 * engine
    return (
        home[:, level] + ground * home[:, level + 1] + home[:, attack] - away[:, attack + 1],
        home[:, level] + away[:, attack] - home[:, attack + 1],
    )


def feature_frame(matches: pd.DataFrame, home: Floats, away: Floats) -> pd.DataFrame:
    """`model_input` with the match_id and the columns a reader needs to place each row."""
    keys = matches[["match_id", "competition", "season", "kick_off", "home_team", "away_team", "status"]]
    values = model_input(home, away, matches["neutral"].to_numpy(bool))
    elo = pd.DataFrame({"home_elo": home[:, ELO], "away_elo": away[:, ELO]})  # for readers: what each club brought
    return pd.concat([keys.reset_index(drop=True), pd.DataFrame(values, columns=list(FEATURES)), elo], axis=1)
