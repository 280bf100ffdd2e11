"""Checks of forecasts and settled forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from features.forecast_schemas import FORECASTS as SCHEMA
from features.matches import OUTCOMES
from monitoring.checks.spec import MIN_ROWS, DerivedColumn, columns, critical, hours, unique, warning

_BEFORE_KICK_OFF = tuple(
    critical(
        f"{column}_lies_before_kick_off",
        description,
        "ExpectColumnValuesToBeBetween",
        column=f"_hours_from_{column}",
        min_value=0,
        strict_min=True,
    )
    for column, description in (
        ("published_at", "a forecast is published before its match"),
        ("trained_through", "the model was trained on earlier matches only"),
        ("features_as_of", "the features come from earlier results only"),
    )
)

FORECAST_CHECKS = (
    columns(SCHEMA.names),
    unique(),
    *(
        check
        for outcome in OUTCOMES
        for check in (
            critical(
                f"{outcome}_is_known",
                "every forecast has three probabilities",
                "ExpectColumnValuesToNotBeNull",
                column=outcome,
            ),
            critical(
                f"{outcome}_is_a_probability",
                "a probability lies between 0 and 1",
                "ExpectColumnValuesToBeBetween",
                column=outcome,
                min_value=0,
                max_value=1,
            ),
            warning(
                f"{outcome}_is_not_extreme",
                "probabilities lie between 1 % and 97 %",
                "ExpectColumnValuesToBeBetween",
                column=outcome,
                min_value=0.01,
                max_value=0.97,
            ),
        )
    ),
    critical(
        "probabilities_sum_to_one",
        "the three probabilities sum to 1 within one millionth",
        "ExpectColumnValuesToBeBetween",
        column="_sum",
        min_value=1 - 1e-6,
        max_value=1 + 1e-6,
    ),
    critical(
        "predicted_outcome_is_the_likeliest",
        "predicted_outcome names the largest probability",
        "ExpectColumnValuesToBeInSet",
        column="_agrees",
        value_set=[True],
    ),
    *_BEFORE_KICK_OFF,
    warning(
        "forecasts_differ",
        "forecasts differ between matches",
        "ExpectColumnStdevToBeBetween",
        MIN_ROWS,
        column="home",
        min_value=0.02,
    ),
    warning(
        "home_wins_are_usual",
        "the mean probability of a home win lies between 0.3 and 0.6",
        "ExpectColumnMeanToBeBetween",
        MIN_ROWS,
        column="home",
        min_value=0.3,
        max_value=0.6,
    ),
)

SETTLED_CHECKS = (
    columns([*SCHEMA.names, "home_goals", "away_goals", "outcome", "rps", "log_loss", "brier", "settled_at"]),
    unique(),
    *_BEFORE_KICK_OFF,
    critical(
        "outcome_is_that_of_the_score",
        "the outcome follows from the goals",
        "ExpectColumnValuesToBeInSet",
        column="_outcome_agrees",
        value_set=[True],
    ),
    critical(
        "rps_is_a_score",
        "the ranked probability score lies between 0 and 1",
        "ExpectColumnValuesToBeBetween",
        column="rps",
        min_value=0,
        max_value=1,
    ),
)


def _agrees(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    likeliest = np.array(OUTCOMES)[frame[list(OUTCOMES)].to_numpy(float).argmax(axis=1)]
    return pd.Series(frame["predicted_outcome"] == likeliest)


def _outcome_agrees(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    return pd.Series(frame["outcome"] == 1 - np.sign(frame["home_goals"] - frame["away_goals"]))


_HOURS_BEFORE: Mapping[str, DerivedColumn] = {
    "_hours_from_published_at": lambda frame, _: hours(frame["kick_off"], frame["published_at"]),
    "_hours_from_trained_through": lambda frame, _: hours(frame["kick_off"], frame["trained_through"]),
    "_hours_from_features_as_of": lambda frame, _: hours(frame["kick_off"], frame["features_as_of"]),
}

FORECAST_DERIVED: Mapping[str, DerivedColumn] = {
    "_sum": lambda frame, _: frame[list(OUTCOMES)].sum(axis=1, skipna=False),
    "_agrees": _agrees,
    **_HOURS_BEFORE,
}

SETTLED_DERIVED: Mapping[str, DerivedColumn] = {**_HOURS_BEFORE, "_outcome_agrees": _outcome_agrees}
