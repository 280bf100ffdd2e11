"""Checks of results, previously published results and fixtures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.league_rules import rules_of
from features.matches import OUTCOMES, SCHEMA, Status
from features.names import fold
from features.seasons import in_season_window
from monitoring.checks.spec import (
    MIN_ROWS,
    DerivedColumn,
    Severity,
    columns,
    critical,
    expect_false,
    hours,
    unique,
    warning,
)


def results_of(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of a matches table that the suite `results` checks."""
    return table[table["status"] == Status.PLAYED]


def published_results(before: pd.DataFrame, now: pd.DataFrame, sources: Collection[str]) -> pd.DataFrame:
    """Build the rows that the suite `published` checks: published results, and whether they are still results.

    A result under another id is still there if clubs (in any spelling), season, day and score are the same, as after a
    change of how names are read. One of several listings of a match may go if another one with its score stays.

    Parameters
    ----------
    before : the published matches table.
    now : the matches table that will replace it.
    sources : sources in use. Results from other sources are ignored: they were removed on purpose.
    """
    published = results_of(before)
    published = published[published["source"].isin(list(sources))]
    results = results_of(now)
    still_there = published["match_id"].isin(set(results["match_id"]))
    if not still_there.all():
        keys, known = _match_keys(published), _match_keys(results)
        same_day = pd.MultiIndex.from_frame(keys).isin(pd.MultiIndex.from_frame(known))
        surplus = _beyond_format(published, keys) & pd.MultiIndex.from_frame(keys.drop(columns="day")).isin(
            pd.MultiIndex.from_frame(known.drop(columns="day"))
        )
        still_there |= same_day | surplus
    return published.assign(still_there=still_there)


def _match_keys(results: pd.DataFrame) -> pd.DataFrame:
    """Return what identifies a result apart from its id: season, clubs in any spelling, score and day."""
    clubs = {side: results[f"{side}_team"].map(fold) for side in ("home", "away")}
    day = results["kick_off"].dt.floor("D")
    return results[["competition", "season", "home_goals", "away_goals"]].assign(**clubs, day=day)


def _beyond_format(published: pd.DataFrame, keys: pd.DataFrame) -> NDArray[np.bool_]:
    """Return a mask of the results of pairs that have more results in a season than the format allows."""
    pairs = ["competition", "season", "home", "away"]
    count = keys.groupby(pairs)["day"].transform("size")
    seasons = zip(published["competition"], published["season"], strict=True)
    allowed = pd.Series([rules_of(competition, season).meetings for competition, season in seasons], keys.index, float)
    return np.asarray(count > allowed)


def fixtures_of(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of a matches table that the suite `fixtures` checks."""
    return table[table["status"] != Status.PLAYED]


MOST_GOALS = 200
"""More goals than a side ever scored in a match that counted (149). Readers refuse such a row; a table that contains it
comes from a reader that is broken."""

USUAL_GOALS = 20
"""True results above it exist, such as 31-0 between national teams, but most are typing errors."""

_IDENTITY = (
    unique(),
    critical(
        "match_ids_are_well_formed",
        "match_id has the form competition-season-home-away",
        "ExpectColumnValuesToMatchRegex",
        column="match_id",
        regex=r"^[a-z][a-z0-9-]*-\d{4}(?:-\d{2})?-[a-z0-9-]+$",
    ),
    expect_false("_same_club", "no_club_plays_itself", "home and away are different clubs"),
    critical(
        "kick_offs_fit_their_season",
        "matches are played from one year before to two years after the usual start of their season",
        "ExpectColumnValuesToBeBetween",
        column="_season_day",
        min_value=-366,
        max_value=731,
    ),
    warning(
        "kick_offs_lie_in_their_season",
        "matches are played in the time that their season can take",
        "ExpectColumnValuesToBeInSet",
        column="_day_outside_its_season",
        value_set=[""],
    ),
    expect_false("_club_twice_a_day", "no_club_plays_twice_a_day", "a club plays at most once a day", Severity.WARNING),
)

RESULT_CHECKS = (
    columns(SCHEMA.names),
    # a warning, because a new competition has no results; `results_are_kept` finds lost results
    warning("results_exist", "there is at least one result", "ExpectTableRowCountToBeBetween", 0, min_value=1),
    *_IDENTITY,
    *(
        check
        for side in ("home", "away")
        for check in (
            critical(
                f"{side}_goals_are_known",
                "a played match has a score",
                "ExpectColumnValuesToNotBeNull",
                column=f"{side}_goals",
            ),
            critical(
                f"{side}_goals_are_plausible",
                f"a side scores 0 to {MOST_GOALS} goals",
                "ExpectColumnValuesToBeBetween",
                column=f"{side}_goals",
                min_value=0,
                max_value=MOST_GOALS,
            ),
            warning(
                f"{side}_goals_are_usual",
                f"a side scores at most {USUAL_GOALS} goals",
                "ExpectColumnValuesToBeBetween",
                column=f"{side}_goals",
                max_value=USUAL_GOALS,
            ),
            warning(
                f"{side}_shots_cover_those_on_target",
                "shots on target do not exceed shots",
                "ExpectColumnPairValuesAToBeGreaterThanB",
                column_A=f"{side}_shots",
                column_B=f"{side}_shots_on_target",
                or_equal=True,
                ignore_row_if="either_value_is_missing",
            ),
        )
    ),
    critical(
        "results_are_past",
        "results are of matches that have kicked off",
        "ExpectColumnValuesToBeBetween",
        column="_hours_since_kick_off",
        min_value=0,
    ),
    warning(
        "goals_are_usual",
        "matches have 1.8 to 4 goals on average: values are neither stuck nor doubled",
        "ExpectColumnMeanToBeBetween",
        MIN_ROWS,
        column="_goals",
        min_value=1.8,
        max_value=4.0,
    ),
    warning(
        "home_sides_do_better",
        "home sides win by 0 to 1 goals on average: the sides are not swapped",
        "ExpectColumnMeanToBeBetween",
        MIN_ROWS * 4,
        column="_home_margin",
        min_value=0.0,
        max_value=1.0,
    ),
    *(
        warning(
            f"odds_{outcome}_are_decimal",
            "decimal odds lie between 1.01 and 1,000",
            "ExpectColumnValuesToBeBetween",
            column=f"odds_{outcome}",
            min_value=1.01,
            max_value=1000,
        )
        for outcome in OUTCOMES
    ),
    warning(
        "odds_have_a_margin",
        "the three inverse odds sum to 0.98 to 1.35",
        "ExpectColumnValuesToBeBetween",
        column="_overround",
        min_value=0.98,
        max_value=1.35,
    ),
)

PUBLISHED_CHECKS = (
    critical(
        "results_are_kept",
        "published results are still results (if a match was annulled, confirm with accept_lost_results)",
        "ExpectColumnValuesToBeInSet",
        column="still_there",
        value_set=[True],
    ),
)

FIXTURE_CHECKS = (
    columns(SCHEMA.names),
    *_IDENTITY,
    critical(
        "status_is_known",
        "a fixture is scheduled or postponed",
        "ExpectColumnValuesToBeInSet",
        column="status",
        value_set=[Status.SCHEDULED.value, Status.POSTPONED.value],
    ),
    *(
        critical(
            f"{side}_goals_are_open",
            "a fixture has no score",
            "ExpectColumnValuesToBeNull",
            column=f"{side}_goals",
        )
        for side in ("home", "away")
    ),
    warning(
        "no_result_is_overdue",
        "scheduled matches kicked off at most a day ago; otherwise their result is missing",
        "ExpectColumnValuesToBeBetween",
        column="_hours_overdue",
        max_value=24,
    ),
    warning(
        "fixtures_are_near",
        "no match is scheduled more than 400 days ahead",
        "ExpectColumnValuesToBeBetween",
        column="_hours_since_kick_off",
        min_value=-24 * 400,
    ),
)


def _season_day(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    """Compute the days since the usual start of the season: 1 July for "2025-26", 1 January for "2025"."""
    month = np.where(frame["season"].str.len() > 4, "-07-01", "-01-01")
    begin = pd.to_datetime(frame["season"].str[:4] + month, utc=True)
    return hours(frame["kick_off"], begin) / 24


def _twice_a_day(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    day = frame["kick_off"].dt.floor("D")
    both = pd.concat([frame["home_team"], frame["away_team"]], ignore_index=True)
    repeated = pd.DataFrame({"club": both, "day": pd.concat([day, day], ignore_index=True)}).duplicated(keep=False)
    n = len(frame)
    return pd.Series(repeated.to_numpy()[:n] | repeated.to_numpy()[n:], index=frame.index)


def _overround(frame: pd.DataFrame, _: datetime) -> pd.Series[Any]:
    return (1 / frame[[f"odds_{outcome}" for outcome in OUTCOMES]]).sum(axis=1, skipna=False)


def _hours_overdue(frame: pd.DataFrame, as_of: datetime) -> pd.Series[Any]:
    """Compute the hours since kick-off of a scheduled match; a postponed one is never overdue."""
    return hours(pd.Timestamp(as_of), frame["kick_off"]).where(frame["status"] == Status.SCHEDULED)


def _hours_since_earliest_kick_off(frame: pd.DataFrame, as_of: datetime) -> pd.Series[Any]:
    """Compute the hours since kick-off, or since the start of the day if only the day is known."""
    kick_off = frame["kick_off"]
    return hours(pd.Timestamp(as_of), kick_off.where(frame["kick_off_exact"], kick_off.dt.floor("D")))


_MATCH_COLUMNS: Mapping[str, DerivedColumn] = {
    "_same_club": lambda frame, _: frame["home_team"] == frame["away_team"],
    "_season_day": _season_day,
    "_day_outside_its_season": lambda frame, _: (
        frame["kick_off"].dt.strftime("%Y-%m-%d").where(~in_season_window(frame), "")
    ),
    "_club_twice_a_day": _twice_a_day,
    "_hours_since_kick_off": lambda frame, as_of: hours(pd.Timestamp(as_of), frame["kick_off"]),
}

RESULT_DERIVED: Mapping[str, DerivedColumn] = {
    **_MATCH_COLUMNS,
    "_hours_since_kick_off": _hours_since_earliest_kick_off,
    "_goals": lambda frame, _: frame["home_goals"] + frame["away_goals"],
    "_home_margin": lambda frame, _: frame["home_goals"] - frame["away_goals"],
    "_overround": _overround,
}

FIXTURE_DERIVED: Mapping[str, DerivedColumn] = {**_MATCH_COLUMNS, "_hours_overdue": _hours_overdue}
