"""What is claimed of the data: the names, severities and limits of all checks, without any library to check them.

Dagster declares its checks from here without importing Great Expectations, which takes seconds;
`monitoring.expectations` runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from features import forecasts, matches
from features.matches import OUTCOMES, Status
from features.matrix import FEATURES, GOAL_FEATURES, RATING_FEATURES
from features.ratings.ledger import STATE_COLUMNS

ENOUGH = 50
"""Rows below which a mean or a spread says nothing."""


class Severity(StrEnum):
    """A failed critical claim stops what is downstream; a failed warning is shown."""

    CRITICAL = "critical"
    WARNING = "warning"


class Suite(StrEnum):
    """Tables about which something is claimed."""

    RESULTS = "results"
    PUBLISHED = "published"
    FIXTURES = "fixtures"
    FEATURES = "features"
    STATES = "states"
    FORECASTS = "forecasts"
    SETTLED = "settled"


@dataclass(frozen=True)
class Claim:
    """One check: a sentence about a table, and the expectation that tests it.

    Attributes
    ----------
    name : unique in its suite, an identifier.
    severity : critical or warning.
    expectation, arguments : class in `great_expectations.expectations` and its arguments.
    needs_rows : smallest table about which this can be said; a smaller one passes.
    """

    name: str
    severity: Severity
    sentence: str
    expectation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs_rows: int = 1


Derived = Callable[[pd.DataFrame, datetime], "pd.Series[Any]"]


def claims(suite: Suite) -> tuple[Claim, ...]:
    """All claims of a suite."""
    return _CLAIMS[suite]


def derived_columns(suite: Suite) -> Mapping[str, Derived]:
    """Columns that claims of the suite are about and that the table does not have, by how they are made."""
    return _DERIVED[suite]


def results_of(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a matches table that the suite `results` is about."""
    return table[table["status"] == Status.PLAYED]


def published_results(before: pd.DataFrame, now: pd.DataFrame, sources: Collection[str]) -> pd.DataFrame:
    """The rows that the suite `published` is about: results published before, with whether they are still results.

    Parameters
    ----------
    before : the matches table that is published.
    now : the matches table that is to take its place.
    sources : those that are drawn on. Results from another one are left out: a person chose to do without it.
    """
    old = results_of(before)
    old = old[old["source"].isin(list(sources))]
    return old.assign(still_there=old["match_id"].isin(set(results_of(now)["match_id"])))


def fixtures_of(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a matches table that the suite `fixtures` is about."""
    return table[table["status"] != Status.PLAYED]


def _claim(name: str, severity: Severity, sentence: str, expectation: str, needs: int = 1, **arguments: Any) -> Claim:
    return Claim(name, severity, sentence, expectation, arguments, needs)


def _critical(name: str, sentence: str, expectation: str, needs: int = 1, **arguments: Any) -> Claim:
    return _claim(name, Severity.CRITICAL, sentence, expectation, needs, **arguments)


def _warning(name: str, sentence: str, expectation: str, needs: int = 1, **arguments: Any) -> Claim:
    return _claim(name, Severity.WARNING, sentence, expectation, needs, **arguments)


def _columns(names: list[str]) -> Claim:
    sentence = "every column of the schema is there"
    return _critical(
        "columns_are_complete", sentence, "ExpectTableColumnsToMatchSet", 0, column_set=names, exact_match=False
    )


def _unique(column: str = "match_id") -> Claim:
    return _critical("match_ids_are_unique", "no match is there twice", "ExpectColumnValuesToBeUnique", column=column)


def _never(column: str, name: str, sentence: str, severity: Severity = Severity.CRITICAL) -> Claim:
    return _claim(name, severity, sentence, "ExpectColumnValuesToBeInSet", column=column, value_set=[False])


_IDENTITY = (
    _unique(),
    _critical(
        "match_ids_are_well_formed",
        "match_id reads competition-season-home-away",
        "ExpectColumnValuesToMatchRegex",
        column="match_id",
        regex=r"^[a-z][a-z0-9-]*-\d{4}(?:-\d{2})?-[a-z0-9-]+$",
    ),
    _never("_same_club", "no_club_plays_itself", "home and away are two clubs"),
    _critical(
        "kick_offs_lie_in_their_season",
        "a match is played between a month before its season's usual start and fourteen months after",
        "ExpectColumnValuesToBeBetween",
        column="_season_day",
        min_value=-31,
        max_value=430,
    ),
    _never("_club_twice_a_day", "no_club_plays_twice_a_day", "a club plays once a day", Severity.WARNING),
)

_RESULTS = (
    _columns(matches.SCHEMA.names),
    # no result is right for a new competition; one that loses what it had is stopped by the asset
    _warning("results_exist", "there is at least one result", "ExpectTableRowCountToBeBetween", 0, min_value=1),
    *_IDENTITY,
    *(
        claim
        for side in ("home", "away")
        for claim in (
            _critical(
                f"{side}_goals_are_known",
                "a played match has a score",
                "ExpectColumnValuesToNotBeNull",
                column=f"{side}_goals",
            ),
            _critical(
                f"{side}_goals_are_plausible",
                "a side scores 0 to 20 goals",
                "ExpectColumnValuesToBeBetween",
                column=f"{side}_goals",
                min_value=0,
                max_value=20,
            ),
            _warning(
                f"{side}_shots_cover_those_on_target",
                "shots on target are shots",
                "ExpectColumnPairValuesAToBeGreaterThanB",
                column_A=f"{side}_shots",
                column_B=f"{side}_shots_on_target",
                or_equal=True,
                ignore_row_if="either_value_is_missing",
            ),
        )
    ),
    _critical(
        "results_are_past",
        "no result is known before its match has kicked off",
        "ExpectColumnValuesToBeBetween",
        column="_hours_since_kick_off",
        min_value=0,
    ),
    _warning(
        "goals_are_usual",
        "mean goals of a match lie between 1.8 and 4: not stuck, not doubled",
        "ExpectColumnMeanToBeBetween",
        ENOUGH,
        column="_goals",
        min_value=1.8,
        max_value=4.0,
    ),
    _warning(
        "home_sides_do_better",
        "the mean goal difference favours the home side, by less than a goal: the sides are not swapped",
        "ExpectColumnMeanToBeBetween",
        ENOUGH * 4,
        column="_home_margin",
        min_value=0.0,
        max_value=1.0,
    ),
    *(
        _warning(
            f"odds_{outcome}_are_decimal",
            "decimal odds lie between 1.01 and 1,000",
            "ExpectColumnValuesToBeBetween",
            column=f"odds_{outcome}",
            min_value=1.01,
            max_value=1000,
        )
        for outcome in OUTCOMES
    ),
    _warning(
        "odds_have_a_margin",
        "the three inverse odds sum to 0.98 to 1.35",
        "ExpectColumnValuesToBeBetween",
        column="_overround",
        min_value=0.98,
        max_value=1.35,
    ),
)

_PUBLISHED = (
    _critical(
        "results_are_kept",
        "a result that was published is still one (where one was annulled, a person says so: accept_lost_results)",
        "ExpectColumnValuesToBeInSet",
        column="still_there",
        value_set=[True],
    ),
)

_FIXTURES = (
    _columns(matches.SCHEMA.names),
    *_IDENTITY,
    _critical(
        "status_is_known",
        "a match to come is scheduled or postponed",
        "ExpectColumnValuesToBeInSet",
        column="status",
        value_set=[Status.SCHEDULED.value, Status.POSTPONED.value],
    ),
    *(
        _critical(
            f"{side}_goals_are_open",
            "a match to come has no score",
            "ExpectColumnValuesToBeNull",
            column=f"{side}_goals",
        )
        for side in ("home", "away")
    ),
    _warning(
        "no_result_is_overdue",
        "a scheduled match kicked off a day ago at most: else its result is missing",
        "ExpectColumnValuesToBeBetween",
        column="_hours_overdue",
        max_value=24,
    ),
    _warning(
        "fixtures_are_near",
        "no match is scheduled for more than a year from now",
        "ExpectColumnValuesToBeBetween",
        column="_hours_since_kick_off",
        min_value=-24 * 400,
    ),
)

_FEATURES = (
    _columns(["match_id", "competition", "season", "kick_off", "home_team", "away_team", *FEATURES]),
    _critical("features_exist", "there is at least one match", "ExpectTableRowCountToBeBetween", 0, min_value=1),
    _unique(),
    *(
        _critical(f"{name}_is_known", "every match has the feature", "ExpectColumnValuesToNotBeNull", column=name)
        for name in RATING_FEATURES
    ),
    *(
        _critical(
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
        _warning(
            f"{name}_varies",
            "the feature is not stuck at one value",
            "ExpectColumnStdevToBeBetween",
            ENOUGH,
            column=name,
            min_value=0.005,
        )
        for name in GOAL_FEATURES  # where a source has no shots, ratings of shots never move
    ),
    _warning(
        "home_advantage_is_seen",
        "the mean Elo difference, home ground included, favours the home side a little: the sides are not swapped",
        "ExpectColumnMeanToBeBetween",
        ENOUGH * 4,
        column="elo",
        min_value=0.0,
        max_value=0.5,
    ),
)

_STATES = (
    _columns(["competition", "season", "team", "features_as_of", *STATE_COLUMNS]),
    _critical("states_exist", "there is at least one club", "ExpectTableRowCountToBeBetween", 0, min_value=1),
    _critical("clubs_are_unique", "no club is there twice", "ExpectColumnValuesToBeUnique", column="_club"),
    _critical(
        "ratings_are_known",
        "every rating of every club is a number",
        "ExpectColumnValuesToBeInSet",
        column="_unknown",
        value_set=[""],
    ),
    _critical(
        "ratings_are_plausible",
        "Elo lies between 0 and 4,000, matches played are not negative, every other rating lies between -10 and 10",
        "ExpectColumnValuesToBeInSet",
        column="_implausible",
        value_set=[""],
    ),
    _critical(
        "results_are_past",
        "no club's rating has seen a result that is yet to come",
        "ExpectColumnValuesToBeBetween",
        column="_hours_since_features_as_of",
        min_value=0,
    ),
)

_BEFORE_KICK_OFF = (
    ("published_at", "a forecast is published before its match"),
    ("trained_through", "the model was trained on earlier matches only"),
    ("features_as_of", "the features come from earlier results only"),
)

_FORECASTS = (
    _columns(forecasts.SCHEMA.names),
    _unique(),
    *(
        claim
        for outcome in OUTCOMES
        for claim in (
            _critical(
                f"{outcome}_is_known",
                "every forecast has three probabilities",
                "ExpectColumnValuesToNotBeNull",
                column=outcome,
            ),
            _critical(
                f"{outcome}_is_a_probability",
                "a probability lies between 0 and 1",
                "ExpectColumnValuesToBeBetween",
                column=outcome,
                min_value=0,
                max_value=1,
            ),
            _warning(
                f"{outcome}_is_not_extreme",
                "nobody knows a football match: between 1 % and 97 %",
                "ExpectColumnValuesToBeBetween",
                column=outcome,
                min_value=0.01,
                max_value=0.97,
            ),
        )
    ),
    _critical(
        "probabilities_sum_to_one",
        "the three probabilities sum to 1, to a millionth",
        "ExpectColumnValuesToBeBetween",
        column="_sum",
        min_value=1 - 1e-6,
        max_value=1 + 1e-6,
    ),
    _critical(
        "predicted_outcome_is_the_likeliest",
        "predicted_outcome names the largest probability",
        "ExpectColumnValuesToBeInSet",
        column="_agrees",
        value_set=[True],
    ),
    *(
        _critical(
            f"{column}_lies_before_kick_off",
            sentence,
            "ExpectColumnValuesToBeBetween",
            column=f"_hours_from_{column}",
            min_value=0,
            strict_min=True,
        )
        for column, sentence in _BEFORE_KICK_OFF
    ),
    _warning(
        "forecasts_differ",
        "not every match gets the same forecast",
        "ExpectColumnStdevToBeBetween",
        ENOUGH,
        column="home",
        min_value=0.02,
    ),
    _warning(
        "home_wins_are_usual",
        "the mean probability of a home win lies between 0.3 and 0.6",
        "ExpectColumnMeanToBeBetween",
        ENOUGH,
        column="home",
        min_value=0.3,
        max_value=0.6,
    ),
)

_SETTLED = (
    _columns(
        [*forecasts.SCHEMA.names, "home_goals", "away_goals", "outcome", "rps", "log_loss", "brier", "settled_at"]
    ),
    _unique(),
    *(
        _critical(
            f"{column}_lies_before_kick_off",
            sentence,
            "ExpectColumnValuesToBeBetween",
            column=f"_hours_from_{column}",
            min_value=0,
            strict_min=True,
        )
        for column, sentence in _BEFORE_KICK_OFF
    ),
    _critical(
        "outcome_is_that_of_the_score",
        "the outcome is the one that the goals give",
        "ExpectColumnValuesToBeInSet",
        column="_outcome_agrees",
        value_set=[True],
    ),
    _critical(
        "rps_is_a_score",
        "the ranked probability score lies between 0 and 1",
        "ExpectColumnValuesToBeBetween",
        column="rps",
        min_value=0,
        max_value=1,
    ),
)

_CLAIMS: Mapping[Suite, tuple[Claim, ...]] = {
    Suite.RESULTS: _RESULTS,
    Suite.PUBLISHED: _PUBLISHED,
    Suite.FIXTURES: _FIXTURES,
    Suite.FEATURES: _FEATURES,
    Suite.STATES: _STATES,
    Suite.FORECASTS: _FORECASTS,
    Suite.SETTLED: _SETTLED,
}


def _hours(later: Any, earlier: Any) -> pd.Series[Any]:
    return pd.Series((later - earlier) / pd.Timedelta(hours=1))


def _season_day(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    """Days since the season's usual start: 1 July for "2025-26", 1 January for "2025"."""
    month = np.where(frame["season"].str.len() > 4, "-07-01", "-01-01")
    begin = pd.to_datetime(frame["season"].str[:4] + month, utc=True)
    return _hours(frame["kick_off"], begin) / 24


def _twice_a_day(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    day = frame["kick_off"].dt.floor("D")
    both = pd.concat([frame["home_team"], frame["away_team"]], ignore_index=True)
    again = pd.DataFrame({"club": both, "day": pd.concat([day, day], ignore_index=True)}).duplicated(keep=False)
    n = len(frame)
    return pd.Series(again.to_numpy()[:n] | again.to_numpy()[n:], index=frame.index)


def _overround(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    return (1 / frame[[f"odds_{outcome}" for outcome in OUTCOMES]]).sum(axis=1, skipna=False)


def _hours_overdue(frame: pd.DataFrame, as_of: datetime) -> pd.Series[Any]:
    """Hours since the kick-off of a scheduled match; a postponed one is never overdue."""
    return _hours(pd.Timestamp(as_of), frame["kick_off"]).where(frame["status"] == Status.SCHEDULED)


def _agrees(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    likeliest = np.array(OUTCOMES)[frame[list(OUTCOMES)].to_numpy(float).argmax(axis=1)]
    return pd.Series(frame["predicted_outcome"] == likeliest)


def _hours_since_result(frame: pd.DataFrame, as_of: datetime) -> pd.Series[Any]:
    """Hours since kick-off; where only the day is known, since that began."""
    kick_off = frame["kick_off"]
    return _hours(pd.Timestamp(as_of), kick_off.where(frame["kick_off_exact"], kick_off.dt.floor("D")))


_MATCH_COLUMNS: Mapping[str, Derived] = {
    "_same_club": lambda frame, _: frame["home_team"] == frame["away_team"],
    "_season_day": _season_day,
    "_club_twice_a_day": _twice_a_day,
    "_hours_since_kick_off": lambda frame, as_of: _hours(pd.Timestamp(as_of), frame["kick_off"]),
}


def _outcome_agrees(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    return pd.Series(frame["outcome"] == 1 - np.sign(frame["home_goals"] - frame["away_goals"]))


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


_HOURS_BEFORE: Mapping[str, Derived] = {
    "_hours_from_published_at": lambda frame, _: _hours(frame["kick_off"], frame["published_at"]),
    "_hours_from_trained_through": lambda frame, _: _hours(frame["kick_off"], frame["trained_through"]),
    "_hours_from_features_as_of": lambda frame, _: _hours(frame["kick_off"], frame["features_as_of"]),
}

_DERIVED: Mapping[Suite, Mapping[str, Derived]] = {
    Suite.RESULTS: {
        **_MATCH_COLUMNS,
        "_hours_since_kick_off": _hours_since_result,
        "_goals": lambda frame, _: frame["home_goals"] + frame["away_goals"],
        "_home_margin": lambda frame, _: frame["home_goals"] - frame["away_goals"],
        "_overround": _overround,
    },
    Suite.PUBLISHED: {},
    Suite.FIXTURES: {**_MATCH_COLUMNS, "_hours_overdue": _hours_overdue},
    Suite.FEATURES: {},
    Suite.STATES: {
        "_club": lambda frame, _: frame["competition"] + "/" + frame["team"],
        "_unknown": _unknown,
        "_implausible": _implausible,
        "_hours_since_features_as_of": lambda frame, as_of: _hours(pd.Timestamp(as_of), frame["features_as_of"]),
    },
    Suite.FORECASTS: {
        "_sum": lambda frame, _: frame[list(OUTCOMES)].sum(axis=1, skipna=False),
        "_agrees": _agrees,
        **_HOURS_BEFORE,
    },
    Suite.SETTLED: {**_HOURS_BEFORE, "_outcome_agrees": _outcome_agrees},
}
