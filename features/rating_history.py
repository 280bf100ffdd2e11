"""Compute all ratings in one pass through time: each match gets the ratings as of the end of the day before.

A *state* is a row of `STATE_COLUMNS`: the ratings of one club in one division. `compute_ratings` returns the state of
both clubs before each match (for training and the back-test) and each club's state after the last known result
(`team_states`, for batch forecasts and online predictions). Both become model input in `features.matrix.model_input`.

A match never uses results of the same calendar day, not even of earlier kick-offs. Awarded results change no rating.

Clubs are rated per country: a promoted club keeps the rating that it earned in the tier below, if that tier is in the
data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.competitions import country_of, tier_of
from features.errors import InvalidInputError
from features.matches import decided_on_pitch
from features.odds import last_odds
from features.ratings.params import MULTI_TIER, SINGLE_TIER, RatingParams
from features.ratings.rating_state import STATE_COLUMNS, RatingCoefficients, RatingState
from features.splits import season_starts

__all__ = ["STATES", "STATE_COLUMNS", "Checkpoint", "RatingHistory", "RatingParams", "compute_ratings"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_COUNTS = (
    ("home_goals", "away_goals"),
    ("home_shots_on_target", "away_shots_on_target"),
    ("home_shots", "away_shots"),
)


@dataclass(frozen=True)
class Checkpoint:
    """Ratings after a match day: everything needed to continue with the matches of later days.

    Attributes
    ----------
    clubs : `{country}/{club}` of each row of the clubs' arrays in `rating_state`.
    params : rating parameters by competition, in the order of the divisions in `rating_state`.
    members : competition, season and team of each club in its competition's latest season.
    last_result : kick-off of the newest result in the ratings; None without results.
    last_day : midnight UTC of the last match day, as an integer timestamp of the table's time unit.
    """

    rating_state: RatingState
    clubs: pd.Index[str]
    params: dict[str, RatingParams]
    members: pd.DataFrame
    last_result: pd.Timestamp | None
    last_day: int


STATES = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ("competition", "season", "team")),
        pa.field("features_as_of", pa.timestamp("us", tz="UTC")),
        *(pa.field(name, pa.float64(), nullable=False) for name in STATE_COLUMNS),
    ]
)
"""A competition's table of team states in the lake."""


@dataclass(frozen=True)
class RatingHistory:
    """States before each match, (n, len(STATE_COLUMNS)) in the row order of the input, and the states at the end."""

    home: Floats
    away: Floats
    team_states: pd.DataFrame
    checkpoint: Checkpoint


def compute_ratings(
    matches: pd.DataFrame,
    params: RatingParams | Mapping[str, RatingParams] | None = None,
    since: Checkpoint | None = None,
) -> RatingHistory:
    """Run the ratings through a matches table (fixtures without score allowed).

    Parameters
    ----------
    matches : DataFrame, columns of `features.matches.SCHEMA`, n rows; with `since`, those of later days only.
    params : rating parameters, one set for all competitions or one per slug. Default: `MULTI_TIER` for countries with
        several tiers in the data, `SINGLE_TIER` for the others (see `features.ratings.params`).
    since : checkpoint of an earlier call on played matches.

    Returns
    -------
    RatingHistory
        `team_states` has one row per club of each competition's latest season: competition, season, team,
        `features_as_of` (kick-off of the newest result in the ratings), and `STATE_COLUMNS`.

    Raises
    ------
    InvalidInputError
        If a match is not later than the checkpoint.
    """
    # sorting copies all columns, so a table that is in order, as those of the lake are, is not sorted
    order = None if matches["kick_off"].is_monotonic_increasing else np.argsort(matches["kick_off"], kind="stable")
    table = matches if order is None else matches.iloc[order]
    day = table["kick_off"].dt.floor("D").astype("int64").to_numpy()
    if since is not None and len(day) and day[0] <= since.last_day:
        raise InvalidInputError(
            f"match {table['match_id'].iloc[0]} is not later than the checkpoint: recompute all ratings"
        )
    known = decided_on_pitch(table)
    competition_codes, slugs = pd.factorize(table["competition"])
    earlier = since.params if since else {}
    params_of = {**earlier, **_choose_params([str(slug) for slug in slugs], earlier, params)}
    home, away, clubs = _club_codes(
        table, competition_codes, slugs, since.clubs if since else pd.Index([], dtype="str")
    )
    coefficients = RatingCoefficients.of(list(params_of.values()), [tier_of(slug) for slug in params_of])
    plain_start = next(iter(params_of.values())).elo_plain.start if params_of else 0.0
    start = since.rating_state if since else RatingState.empty()
    rating_state = start.resized(len(clubs), coefficients, plain_start)
    division = pd.Index(list(params_of), dtype="str").get_indexer(pd.Index(slugs, dtype="str"))
    # imported here, because numba takes half a second to load
    from features.ratings.rating_update import MatchArrays, update_ratings

    arrays = MatchArrays(
        day=day // int(pd.Timedelta(days=1) / pd.Timedelta(1, table["kick_off"].dt.unit)),
        division=division[competition_codes].astype(np.int64),
        season=season_starts(table["season"]),
        home=home,
        away=away,
        counts=np.stack([table[list(pair)].to_numpy(float) for pair in _COUNTS], axis=1),
        odds=last_odds(table),
        neutral=table["neutral"].to_numpy(bool),
        known=known,
    )
    before = update_ratings(arrays, rating_state, coefficients)
    states = list(before) if order is None else [_in_input_order(side, order) for side in before]
    last = table["kick_off"].where(known).max()
    last_result = (since.last_result if since else None) if pd.isna(last) else last
    members = _members(table, since.members if since else None)
    checkpoint = Checkpoint(
        rating_state,
        clubs,
        params_of,
        members,
        last_result,
        int(day[-1]) if len(day) else (since.last_day if since else -(2**62)),
    )
    return RatingHistory(states[0], states[1], _team_states(checkpoint), checkpoint)


def _in_input_order(side: Floats, order: Ints) -> Floats:
    unsorted = np.empty_like(side)
    unsorted[order] = side
    return unsorted


def _choose_params(
    slugs: list[str],
    before: Mapping[str, RatingParams],
    params: RatingParams | Mapping[str, RatingParams] | None,
) -> dict[str, RatingParams]:
    """Choose the parameters of new competitions."""
    new = [slug for slug in slugs if slug not in before]
    if isinstance(params, RatingParams):
        return dict.fromkeys(new, params)
    if params is not None:
        return {slug: params[slug] for slug in new}
    tiers = Counter(country_of(slug) for slug in [*before, *new])
    return {slug: MULTI_TIER if tiers[country_of(slug)] > 1 else SINGLE_TIER for slug in new}


def _club_codes(
    table: pd.DataFrame, competition_codes: Ints, slugs: pd.Index[Any], known: pd.Index[str]
) -> tuple[Ints, Ints, pd.Index[str]]:
    """Number the clubs of both sides; a club is a name within a country, such as `eng/Arsenal`."""
    n = len(table)
    country_of_slug = [country_of(str(slug)) for slug in slugs]
    countries = sorted(set(country_of_slug))
    country_codes = np.array([countries.index(country) for country in country_of_slug], dtype=np.int64)
    names, unique_names = pd.factorize(pd.concat([table["home_team"], table["away_team"]], ignore_index=True))
    pair, pairs = pd.factorize(np.tile(country_codes[competition_codes], 2) * max(len(unique_names), 1) + names)
    code_pairs = [divmod(int(key), len(unique_names)) for key in pairs]
    keys = pd.Index([f"{countries[country]}/{unique_names[name]}" for country, name in code_pairs], dtype="str")
    clubs = known.append(keys[~keys.isin(known)])
    codes = clubs.get_indexer(keys).astype(np.int64)[pair]
    return codes[:n], codes[n:], clubs


def _members(table: pd.DataFrame, before: pd.DataFrame | None) -> pd.DataFrame:
    """List the clubs of each competition's latest season: competition, season, team."""
    columns = ["competition", "season", "team"]
    sides = [
        table[["competition", "season", side]].drop_duplicates().set_axis(columns, axis=1)
        for side in ("home_team", "away_team")
    ]
    clubs = pd.concat([*([] if before is None else [before]), *sides], ignore_index=True).drop_duplicates()
    latest = clubs.groupby("competition")["season"].transform("max")
    return clubs[clubs["season"] == latest].sort_values(["competition", "team"]).reset_index(drop=True)


def _team_states(end: Checkpoint) -> pd.DataFrame:
    members = end.members
    countries = members["competition"].map(country_of)
    club = end.clubs.get_indexer(pd.Index(countries + "/" + members["team"], dtype="str"))
    division = pd.Index(list(end.params), dtype="str").get_indexer(pd.Index(members["competition"], dtype="str"))
    values = np.hstack([end.rating_state.clubs[club], end.rating_state.divisions[division]])
    states = pd.DataFrame(values, columns=list(STATE_COLUMNS))
    as_of = pd.Series(end.last_result, index=members.index, dtype="datetime64[us, UTC]")
    return pd.concat([members, as_of.rename("features_as_of"), states], axis=1)
