"""What is claimed of the ratings: the model's input of each match, and the state of each club."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from features.matrix import FEATURES, GOAL_FEATURES, RATING_FEATURES
from features.ratings.rating_state import STATE_COLUMNS
from monitoring.checks.spec import MIN_ROWS, DerivedColumn, columns, critical, hours, unique, warning

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
            "the feature lies between -10 and 10",
            "ExpectColumnValuesToBeBetween",
            column=name,
            min_value=-10,
            max_value=10,
        )
        for name in FEATURES
    ),
    *(
        warning(
            f"{name}_varies",
            "the feature is not stuck at one value",
            "ExpectColumnStdevToBeBetween",
            MIN_ROWS,
            column=name,
            min_value=0.005,
        )
        for name in GOAL_FEATURES  # where a source has no shots, ratings of shots never move
    ),
    warning(
        "home_advantage_is_seen",
        "the mean Elo difference, home ground included, favours the home side a little: the sides are not swapped",
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
    critical("clubs_are_unique", "no club is there twice", "ExpectColumnValuesToBeUnique", column="_club"),
    critical(
        "ratings_are_known",
        "every rating of every club is a number",
        "ExpectColumnValuesToBeInSet",
        column="_unknown",
        value_set=[""],
    ),
    critical(
        "ratings_are_plausible",
        "Elo lies between 0 and 4,000, matches played are not negative, every other rating lies between -10 and 10",
        "ExpectColumnValuesToBeInSet",
        column="_implausible",
        value_set=[""],
    ),
    critical(
        "results_are_past",
        "no club's rating has seen a result that is yet to come",
        "ExpectColumnValuesToBeBetween",
        column="_hours_since_features_as_of",
        min_value=0,
    ),
)


def _named(wrong: pd.DataFrame) -> pd.Series[Any]:
    """In each row the names of the columns that are wrong, so that whoever sees the row need not search."""
    return pd.Series([", ".join(wrong.columns[row]) for row in wrong.to_numpy(bool)], wrong.index, dtype="str")


def _unknown(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    ratings = frame[list(STATE_COLUMNS)]
    return _named(ratings.isna() | ratings.isin([np.inf, -np.inf]))


def _implausible(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    """Names of ratings out of bounds; what is unknown is another claim's business."""
    ratings = frame[list(STATE_COLUMNS)]
    wrong = ratings.abs() > 10
    for name in ("elo", "elo_plain"):
        wrong[name] = (ratings[name] < 0) | (ratings[name] > 4000)
    wrong["played"] = ratings["played"] < 0
    return _named(wrong)


STATE_DERIVED: Mapping[str, DerivedColumn] = {
    "_club": lambda frame, _: frame["competition"] + "/" + frame["team"],
    "_unknown": _unknown,
    "_implausible": _implausible,
    "_hours_since_features_as_of": lambda frame, as_of: hours(pd.Timestamp(as_of), frame["features_as_of"]),
}
