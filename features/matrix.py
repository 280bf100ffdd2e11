"""Model input from ratings. Training, batch forecasts and online predictions all call `model_input`."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.odds import bookmaker_log_odds
from features.ratings.rating_state import (
    ATTACK,
    ELO,
    ELO_PLAIN,
    LEVEL,
    MARKET,
    MATCHES_WITH_SHOTS,
    PI_AWAY,
    PI_HOME,
    VARIANCE_MARKET,
)

Floats = NDArray[np.float64]

GOAL_FEATURES = ("elo", "pi", "pi_reverse", "log_home_goals", "log_away_goals")
"""Features that need scores only."""

REFERENCE_FEATURE = "elo_plain"
"""The only feature of the plain-Elo baseline; no other model uses it."""

SHOT_FEATURES = ("log_home_on_target", "log_away_on_target", "log_home_shots", "log_away_shots")
"""Features that need shots and shots on target."""

MARKET_FEATURES = ("log_home_market", "log_away_market")
"""Log-odds of home and away win against a draw by the market ratings, from the odds of earlier matches."""

COVERAGE_FEATURES = ("matches_with_shots", "variance_market")
"""Whether the shot and the market ratings mean anything: the lower number of recent matches with shots of both clubs,
and the sum of the variances of their market ratings. They choose the columns that a model uses, and act on no side."""

ODDS_FEATURES = ("log_home_odds", "log_away_odds")
"""Log-odds of the bookmakers (`features.odds.bookmaker_log_odds`); the only features that may be missing."""


class FeatureGroup(StrEnum):
    """Inputs of the served model."""

    GOALS = "goals"
    SHOTS = "shots"
    MARKET = "market"
    GOALS_AND_ODDS = "goals+odds"
    SHOTS_AND_ODDS = "shots+odds"
    MARKET_AND_ODDS = "market+odds"


_SHOTS_GROUP = (*GOAL_FEATURES, *SHOT_FEATURES, "matches_with_shots")
_MARKET_GROUP = (*GOAL_FEATURES, *SHOT_FEATURES, *MARKET_FEATURES, *COVERAGE_FEATURES)

FEATURE_GROUPS = {
    FeatureGroup.GOALS: GOAL_FEATURES,
    FeatureGroup.SHOTS: _SHOTS_GROUP,
    FeatureGroup.MARKET: _MARKET_GROUP,
    FeatureGroup.GOALS_AND_ODDS: (*GOAL_FEATURES, *ODDS_FEATURES),
    FeatureGroup.SHOTS_AND_ODDS: (*_SHOTS_GROUP, *ODDS_FEATURES),
    FeatureGroup.MARKET_AND_ODDS: (*_MARKET_GROUP, *ODDS_FEATURES),
}
"""Columns of each group. Forecasts of `shots` use shots where they are known, those of `market` shots and the odds of
earlier matches where they are known."""

RATING_FEATURES = (*GOAL_FEATURES, *SHOT_FEATURES, *MARKET_FEATURES, *COVERAGE_FEATURES, REFERENCE_FEATURE)
"""Columns that every match has."""

FEATURES = (*RATING_FEATURES, *ODDS_FEATURES)
"""Columns of `model_input`. The signature of a model lists those that it uses."""

_PAIRS = [
    (FEATURES.index(f"log_home_{quantity}"), FEATURES.index(f"log_away_{quantity}"))
    for quantity in ("goals", "on_target", "shots", "market", "odds")
]
"""Columns of the home and the away side; every other feature but `COVERAGE_FEATURES` is a difference between them."""

_COVERAGE = [FEATURES.index(name) for name in COVERAGE_FEATURES]

SYSTEMS = {
    "elo": ("elo",),
    "pi": ("pi", "pi_reverse"),
    "goals": ("log_home_goals", "log_away_goals"),
    "shots on target": ("log_home_on_target", "log_away_on_target"),
    "shots": ("log_home_shots", "log_away_shots"),
    "market": MARKET_FEATURES,
}
"""Features of each rating system."""

ELO_HOME_ADVANTAGE = 60.0
"""Home advantage in the model input, in Elo points. It need not be exact: with a home side, the model's intercept
corrects it. On neutral ground it is omitted, and averaging both orders of the clubs cancels the model's intercept."""


def _expected_goals(rating: Floats) -> Floats:
    # 10 ** (|rating| / 3) - 1, as a power of e, which takes a third of the time.
    return np.asarray(np.sign(rating) * np.expm1(np.abs(rating) * (np.log(10.0) / 3.0)))


def model_input(home: Floats, away: Floats, neutral: NDArray[np.bool_], odds_log_odds: Floats | None = None) -> Floats:
    """Compute the model input (n, len(FEATURES)) from the states of both clubs and the odds before the match.

    Parameters
    ----------
    home, away : (n, len(STATE_COLUMNS)) states before the match, columns as in `features.rating_history.STATE_COLUMNS`.
    neutral : (n,) True if neither club is at home.
    odds_log_odds : (n, 2) log-odds of the bookmakers, `features.odds.bookmaker_log_odds`; None without odds.
    """
    home_indicator = np.where(neutral, 0.0, 1.0)
    elo = (home[:, ELO] + home_indicator * ELO_HOME_ADVANTAGE - away[:, ELO]) / 400.0
    pi = _expected_goals(home[:, PI_HOME]) - _expected_goals(away[:, PI_AWAY])
    pi_reverse = _expected_goals(home[:, PI_AWAY]) - _expected_goals(away[:, PI_HOME])
    if neutral.any():  # without a home side, use the mean of a club's two ratings
        means = [_expected_goals((side[:, PI_HOME] + side[:, PI_AWAY]) / 2) for side in (home, away)]
        pi, pi_reverse = (np.where(neutral, means[0] - means[1], difference) for difference in (pi, pi_reverse))
    rates = [rate for statistic in range(MARKET + 1) for rate in log_rates(home, away, home_indicator, statistic)]
    coverage = [
        np.minimum(home[:, MATCHES_WITH_SHOTS], away[:, MATCHES_WITH_SHOTS]),
        home[:, VARIANCE_MARKET] + away[:, VARIANCE_MARKET],
    ]
    plain = (home[:, ELO_PLAIN] + home_indicator * ELO_HOME_ADVANTAGE - away[:, ELO_PLAIN]) / 400.0
    odds = np.full((len(home), 2), np.nan) if odds_log_odds is None else odds_log_odds
    return np.column_stack([elo, pi, pi_reverse, *rates, *coverage, plain, odds])


def swap_sides(x: Floats) -> Floats:
    """Swap home and away in model input (n, len(FEATURES)) of matches on neutral ground."""
    out = -x
    for home_column, away_column in _PAIRS:
        out[:, [home_column, away_column]] = x[:, [away_column, home_column]]
    out[:, _COVERAGE] = x[:, _COVERAGE]
    return out


def log_rates(home: Floats, away: Floats, home_indicator: Floats, statistic: int = 0) -> tuple[Floats, Floats]:
    """Compute the log expected counts (n,) of both sides: goals (statistic 0), shots on target (1) or shots (2).

    With statistic `MARKET`: their log-odds against a draw by the market ratings.
    """
    attack, level = ATTACK + 2 * statistic, LEVEL + 2 * statistic
    return (
        home[:, level] + home_indicator * home[:, level + 1] + home[:, attack] - away[:, attack + 1],
        home[:, level] + away[:, attack] - home[:, attack + 1],
    )


def feature_frame(matches: pd.DataFrame, home: Floats, away: Floats) -> pd.DataFrame:
    """Build `model_input` as a table, with match_id, competition, season, kick-off, clubs and status of each row."""
    keys = matches[["match_id", "competition", "season", "kick_off", "home_team", "away_team", "status"]]
    values = model_input(home, away, matches["neutral"].to_numpy(bool), bookmaker_log_odds(matches))
    elo = pd.DataFrame({"home_elo": home[:, ELO], "away_elo": away[:, ELO]})  # shown to users; not a feature
    return pd.concat([keys.reset_index(drop=True), pd.DataFrame(values, columns=list(FEATURES)), elo], axis=1)
