"""Checks of the features of each match and the rating state of each club."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from features.matrix import FEATURES, GOAL_FEATURES, RATING_FEATURES
from features.ratings.rating_state import STATE_COLUMNS
from monitoring.checks.spec import MIN_ROWS, DerivedColumn, columns, critical, hours, unique, warning

MOST = 100
"""Largest rating or feature, except Elo, that is a number one can compute with: beyond it, a system has diverged."""

USUAL = 10
"""Largest rating or feature, except Elo, of ordinary leagues. Very unequal opponents may exceed it."""

FEATURE_CHECKS = (
    columns(["match_id", "competition", "season", "kick_off", "home_team", "away_team", *FEATURES]),
    critical("features_exist", "there is at least one match", "ExpectTableRowCountToBeBetween", 0, min_value=1),
    unique(),
    *(
        critical(f"{name}_is_known", "every match has the feature", "ExpectColumnValuesToNotBeNull", column=name)
        for name in RATING_FEATURES
    ),
    *(
        critical(
            f"{name}_is_plausible",
            f"the feature lies between -{MOST} and {MOST}",
            "ExpectColumnValuesToBeBetween",
            column=name,
            min_value=-MOST,
            max_value=MOST,
        )
        for name in FEATURES
    ),
    *(
        warning(
            f"{name}_is_usual",
            f"the feature lies between -{USUAL} and {USUAL}",
            "ExpectColumnValuesToBeBetween",
            column=name,
            min_value=-USUAL,
            max_value=USUAL,
        )
        for name in FEATURES
    ),
    *(
        warning(
            f"{name}_varies",
            "the feature varies between matches",
            "ExpectColumnStdevToBeBetween",
            MIN_ROWS,
            column=name,
            min_value=0.005,
        )
        for name in GOAL_FEATURES  # without shots in the source, shot ratings are constant
    ),
    warning(
        "home_advantage_is_seen",
        "the mean Elo difference, including home advantage, favours the home side slightly: the sides are not swapped",
        "ExpectColumnMeanToBeBetween",
        MIN_ROWS * 4,
        column="elo",
        min_value=0.0,
        max_value=0.5,
    ),
)

STATE_CHECKS = (
    columns(["competition", "season", "team", "features_as_of", *STATE_COLUMNS]),
    critical("states_exist", "there is at least one club", "ExpectTableRowCountToBeBetween", 0, min_value=1),
    critical("clubs_are_unique", "no club occurs twice", "ExpectColumnValuesToBeUnique", column="_club"),
    critical(
        "ratings_are_known",
        "every rating of every club is a number",
        "ExpectColumnValuesToBeInSet",
        column="_unknown",
        value_set=[""],
    ),
    critical(
        "ratings_are_plausible",
        "Elo lies between -10,000 and 10,000, matches played are not negative, "
        f"every other rating lies between -{MOST} and {MOST}",
        "ExpectColumnValuesToBeInSet",
        column="_implausible",
        value_set=[""],
    ),
    warning(
        "ratings_are_usual",
        f"Elo lies between 0 and 4,000, every other rating lies between -{USUAL} and {USUAL}",
        "ExpectColumnValuesToBeInSet",
        column="_unusual",
        value_set=[""],
    ),
    critical(
        "results_are_past",
        "no rating contains a result from the future",
        "ExpectColumnValuesToBeBetween",
        column="_hours_since_features_as_of",
        min_value=0,
    ),
)


def _column_names(invalid: pd.DataFrame) -> pd.Series[Any]:
    """List the names of the invalid columns of each row, for the examples of a failed check."""
    return pd.Series([", ".join(invalid.columns[row]) for row in invalid.to_numpy(bool)], invalid.index, dtype="str")


def _unknown(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    ratings = frame[list(STATE_COLUMNS)]
    return _column_names(ratings.isna() | ratings.isin([np.inf, -np.inf]))


def _outside(frame: pd.DataFrame, elo: tuple[float, float], limit: float) -> pd.Series[Any]:
    """List the names of ratings that are out of bounds; another check finds unknown ratings."""
    ratings = frame[list(STATE_COLUMNS)]
    invalid = ratings.abs() > limit
    for name in ("elo", "elo_plain"):
        invalid[name] = (ratings[name] < elo[0]) | (ratings[name] > elo[1])
    invalid["played"] = ratings["played"] < 0
    return _column_names(invalid)


STATE_DERIVED: Mapping[str, DerivedColumn] = {
    "_club": lambda frame, _: frame["competition"] + "/" + frame["team"],
    "_unknown": _unknown,
    "_implausible": lambda frame, _: _outside(frame, (-10_000, 10_000), MOST),
    "_unusual": lambda frame, _: _outside(frame, (0, 4_000), USUAL),
    "_hours_since_features_as_of": lambda frame, as_of: hours(pd.Timestamp(as_of), frame["features_as_of"]),
}
