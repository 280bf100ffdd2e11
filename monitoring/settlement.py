"""Settlement: what was published before kick-off meets what happened.

The rules, each with a test:

* A forecast counts only if it was published before the match kicked off, by a model trained and from features known
  before it. Both the announced and the actual kick-off count: a match moved forward past the publication is not scored.
* A match is scored once: by the last forecast published before its kick-off, in the week in which it was played. A
  postponed match therefore waits, under its old id, for the week in which it is played after all.
* An awarded match is void: a tribunal decided it, and not every source keeps the score as played.
* What is settled stays settled; corrections of a score afterwards do not change history.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features import forecasts as forecast_table
from features import metrics
from features.errors import InvalidInputError
from features.io.store import week_of
from features.matches import OUTCOMES, Status, as_known_at, outcomes

Floats = NDArray[np.float64]

BASELINES = ("elo", "base", "market")
"""Forecasters that a model is measured against; `market` only where odds exist."""

SCHEMA = pa.schema(
    [
        *forecast_table.SCHEMA,
        pa.field("home_goals", pa.int64(), nullable=False),
        pa.field("away_goals", pa.int64(), nullable=False),
        pa.field("outcome", pa.int64(), nullable=False),
        pa.field("rps", pa.float64(), nullable=False),
        pa.field("log_loss", pa.float64(), nullable=False),
        pa.field("brier", pa.float64(), nullable=False),
        *(pa.field(f"{name}_{outcome}", pa.float64()) for name in BASELINES for outcome in OUTCOMES),
        pa.field("settled_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


class Unsettled(StrEnum):
    """Why a published forecast is not scored."""

    ALREADY = "already settled"
    SUPERSEDED = "a later forecast was published before kick-off"
    UNKNOWN = "the match is not in the matches table"
    POSTPONED = "postponed"
    AWAITED = "no result yet"
    AWARDED = "awarded: void"
    AFTER_THE_FACT = "published, trained or informed after kick-off"
    OTHER_WEEK = "played in another week"


@dataclass(frozen=True)
class Settlement:
    """Newly settled rows (columns of `SCHEMA`) and, for every other forecast row, `match_id` and `reason`."""

    settled: pd.DataFrame
    unsettled: pd.DataFrame


def settle(
    forecasts: pd.DataFrame,
    matches: pd.DataFrame,
    elo: pd.DataFrame,
    as_of: datetime,
    week: str | None = None,
    already: Collection[str] = (),
) -> Settlement:
    """Score published forecasts of one forecaster (production, or one shadow).

    Parameters
    ----------
    forecasts : published rows, columns of `features.forecasts.SCHEMA`; of one week or, so that a postponed match finds
        its older forecast, of several.
    matches : the matches table with all seasons; what was not known at `as_of` is ignored.
    elo : the plain-Elo reference's probabilities `match_id, elo_home, elo_draw, elo_away`; a match that is missing
        there gets NaN.
    as_of : the moment of settlement, timezone-aware.
    week : settle only matches actually played in this week (its Monday, YYYY-MM-DD); None for all.
    already : match_ids that were settled before.

    Raises
    ------
    InvalidInputError
        If `matches` has a match_id twice: it would be scored twice.
    """
    known = as_known_at(matches, as_of)
    if known["match_id"].duplicated().any():
        twice = known.loc[known["match_id"].duplicated(), "match_id"].iloc[0]
        raise InvalidInputError(f"match {twice} is twice in the matches table; it would be scored twice")
    rows = forecasts.reset_index(drop=True)
    found = known.set_index("match_id").reindex(rows["match_id"]).reset_index(drop=True)
    reasons = _reasons(rows, found, week, frozenset(already))
    take = reasons.isna()
    unsettled = pd.DataFrame({"match_id": rows["match_id"], "reason": reasons})[~take].reset_index(drop=True)
    scored = _score(rows[take].reset_index(drop=True), found[take].reset_index(drop=True), elo, known)
    scored["settled_at"] = pd.Timestamp(as_of).as_unit("us")
    return Settlement(scored[SCHEMA.names], unsettled)


def require_unique(settled: pd.DataFrame) -> pd.DataFrame:
    """The settled rows of one forecaster, as they are.

    Raises
    ------
    InvalidInputError
        If a match is there twice: it would count twice.
    """
    twice = settled.loc[settled["match_id"].duplicated(), "match_id"]
    if len(twice):
        raise InvalidInputError(f"match {twice.iloc[0]} is settled twice; it would count twice")
    return settled


def _reasons(rows: pd.DataFrame, found: pd.DataFrame, week: str | None, already: frozenset[str]) -> pd.Series:
    """Why each forecast row is not scored; NA where it is. The first reason that applies is given."""
    kick_off = found["kick_off"]
    first_whistle = np.minimum(rows["kick_off"], kick_off.fillna(rows["kick_off"]))
    late = (
        (rows["published_at"] >= first_whistle)
        | (rows["trained_through"] >= first_whistle)
        | (rows["features_as_of"] >= first_whistle)
    )
    elsewhere = kick_off.notna() & (kick_off.dt.date.map(week_of, na_action="ignore") != week) & (week is not None)
    reasons = pd.Series(pd.NA, index=rows.index, dtype="object")
    for applies, reason in (
        (rows["match_id"].isin(already), Unsettled.ALREADY),
        (found["status"].isna(), Unsettled.UNKNOWN),
        (found["status"] == Status.POSTPONED, Unsettled.POSTPONED),
        (found["status"] == Status.SCHEDULED, Unsettled.AWAITED),
        (found["awarded"].fillna(False).astype(bool), Unsettled.AWARDED),
        (late, Unsettled.AFTER_THE_FACT),
        (elsewhere, Unsettled.OTHER_WEEK),
    ):
        reasons = reasons.mask(reasons.isna() & applies, reason.value)
    valid = rows.loc[reasons.isna(), ["match_id", "published_at"]]
    latest = valid.groupby("match_id")["published_at"].idxmax()
    superseded = reasons.isna() & ~rows.index.isin(latest)
    return reasons.mask(superseded, Unsettled.SUPERSEDED.value)


def _score(rows: pd.DataFrame, found: pd.DataFrame, elo: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    p, y = rows[list(OUTCOMES)].to_numpy(float), outcomes(found)
    references = {
        "elo": elo.set_index("match_id")
        .reindex(rows["match_id"])[[f"elo_{outcome}" for outcome in OUTCOMES]]
        .to_numpy(),
        "base": base_rates(known, rows),
        "market": market(found),
    }
    scored = rows.assign(
        kick_off=found["kick_off"],
        home_goals=found["home_goals"].astype("int64"),
        away_goals=found["away_goals"].astype("int64"),
        outcome=y,
        rps=metrics.rps(p, y),
        log_loss=metrics.log_loss(p, y),
        brier=metrics.brier(p, y),
    )
    for name, triple in references.items():
        for column, outcome in enumerate(OUTCOMES):
            scored[f"{name}_{outcome}"] = triple[:, column].astype(float)
    return scored


def _columns(prefix: str) -> list[str]:
    return [f"{prefix}_{outcome}" for outcome in OUTCOMES]


def base_rates(matches: pd.DataFrame, rows: pd.DataFrame) -> Floats:
    """Shares (n, 3) of home wins, draws and away wins in the row's competition up to the model's last training match.

    Thirds where the competition had no result by then.
    """
    played = matches[matches["status"] == Status.PLAYED]
    rates = np.full((len(rows), 3), 1 / 3)
    for (competition, through), group in rows.groupby(["competition", "trained_through"]):
        before = played[(played["competition"] == competition) & (played["kick_off"] <= through)]
        if len(before):
            rates[group.index] = metrics.base_rate(outcomes(before))
    return rates


def market(matches: pd.DataFrame) -> Floats:
    """The market's probabilities (n, 3): inverse closing (else earlier) odds, scaled to sum to 1; NaN without odds."""
    closing, earlier = matches[_columns("closing")].to_numpy(float), matches[_columns("odds")].to_numpy(float)
    odds = np.where(np.isnan(closing).any(axis=1, keepdims=True), earlier, closing)
    odds = np.where((odds > 1).all(axis=1, keepdims=True), odds, np.nan)
    return np.asarray((1 / odds) / (1 / odds).sum(axis=1, keepdims=True))
