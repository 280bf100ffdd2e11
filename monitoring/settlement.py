"""Settlement: scores published forecasts against results.

The rules, each with a test:

* A forecast counts only if publication, training data and features all precede the kick-off. Both the announced and the
  actual kick-off apply: a match that was brought forward to before the publication is not scored.
* A match is scored once: with the last forecast published before its kick-off, in the week in which it was played. A
  postponed match waits, under its original id, for the week in which it is finally played.
* An awarded match is not scored: a tribunal decided it, and not every source keeps the original score.
* A settled forecast stays settled; later corrections of a score do not change it.
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

from features import metrics
from features.errors import InvalidInputError
from features.forecast_schemas import FORECASTS, SCORES
from features.io.store import week_of
from features.matches import OUTCOMES, Status, as_known_at, decided_on_pitch, outcomes

Floats = NDArray[np.float64]

BASELINES = ("elo", "base", "market")
"""Forecasters that models are compared with; `market` only for matches with odds."""

SCHEMA = pa.schema(
    [
        *FORECASTS,
        *SCORES,
        *(pa.field(f"{name}_{outcome}", pa.float64()) for name in BASELINES for outcome in OUTCOMES),
        pa.field("settled_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


class UnsettledReason(StrEnum):
    """Reasons why a published forecast is not scored."""

    ALREADY_SETTLED = "already settled"
    SUPERSEDED = "a later forecast was published before kick-off"
    UNKNOWN = "the match is not in the matches table"
    POSTPONED = "postponed"
    NO_RESULT = "no result yet"
    AWARDED = "awarded: void"
    AFTER_KICK_OFF = "published, trained or computed from results after kick-off"
    OTHER_WEEK = "played in another week"


@dataclass(frozen=True)
class Settlement:
    """Newly settled rows (columns of `SCHEMA`), and `match_id` and `reason` of every other forecast row."""

    settled: pd.DataFrame
    unsettled: pd.DataFrame


def settle(
    forecasts: pd.DataFrame,
    matches: pd.DataFrame,
    elo: pd.DataFrame,
    as_of: datetime,
    week: str | None = None,
    already_settled: Collection[str] = (),
) -> Settlement:
    """Score the published forecasts of one forecaster (production, or one shadow).

    Parameters
    ----------
    forecasts : published rows, columns of `features.forecasts.SCHEMA`. Pass several weeks, so that a postponed match
        finds its original forecast.
    matches : the matches table with all seasons; anything not known at `as_of` is ignored.
    elo : probabilities of the plain-Elo baseline, `match_id, elo_home, elo_draw, elo_away`; missing matches get NaN.
    as_of : time of settlement, timezone-aware.
    week : settle only matches played in this week (its Monday, YYYY-MM-DD); None for all.
    already_settled : match_ids settled before.

    Raises
    ------
    InvalidInputError
        If `matches` contains a match_id twice.
    """
    known = as_known_at(matches, as_of)
    if known["match_id"].duplicated().any():
        duplicate = known.loc[known["match_id"].duplicated(), "match_id"].iloc[0]
        raise InvalidInputError(f"duplicate match_id {duplicate} in the matches table")
    rows = forecasts.reset_index(drop=True)
    played = known.set_index("match_id").reindex(rows["match_id"]).reset_index(drop=True)
    reasons = _reasons(rows, played, week, frozenset(already_settled))
    scorable = reasons.isna()
    unsettled = pd.DataFrame({"match_id": rows["match_id"], "reason": reasons})[~scorable].reset_index(drop=True)
    scored = _score(rows[scorable].reset_index(drop=True), played[scorable].reset_index(drop=True), elo, known)
    scored["settled_at"] = pd.Timestamp(as_of).as_unit("us")
    return Settlement(scored[SCHEMA.names], unsettled)


def require_unique(settled: pd.DataFrame) -> pd.DataFrame:
    """Return the settled rows of one forecaster unchanged.

    Raises
    ------
    InvalidInputError
        If a match occurs twice.
    """
    duplicates = settled.loc[settled["match_id"].duplicated(), "match_id"]
    if len(duplicates):
        raise InvalidInputError(f"duplicate match_id {duplicates.iloc[0]} in the settled forecasts")
    return settled


def _reasons(rows: pd.DataFrame, matches: pd.DataFrame, week: str | None, already_settled: frozenset[str]) -> pd.Series:
    """Return the first reason that applies to each forecast row; NA if the row is scored."""
    kick_off = matches["kick_off"]
    earliest_kick_off = np.minimum(rows["kick_off"], kick_off.fillna(rows["kick_off"]))
    late = (
        (rows["published_at"] >= earliest_kick_off)
        | (rows["trained_through"] >= earliest_kick_off)
        | (rows["features_as_of"] >= earliest_kick_off)
    )
    other_week = kick_off.notna() & (kick_off.dt.date.map(week_of, na_action="ignore") != week) & (week is not None)
    reasons = pd.Series(pd.NA, index=rows.index, dtype="object")
    for applies, reason in (
        (rows["match_id"].isin(already_settled), UnsettledReason.ALREADY_SETTLED),
        (matches["status"].isna(), UnsettledReason.UNKNOWN),
        (matches["status"] == Status.POSTPONED, UnsettledReason.POSTPONED),
        (matches["status"] == Status.SCHEDULED, UnsettledReason.NO_RESULT),
        (matches["awarded"].fillna(False).astype(bool), UnsettledReason.AWARDED),
        (late, UnsettledReason.AFTER_KICK_OFF),
        (other_week, UnsettledReason.OTHER_WEEK),
    ):
        reasons = reasons.mask(reasons.isna() & applies, reason.value)
    valid = rows.loc[reasons.isna(), ["match_id", "published_at"]]
    latest = valid.groupby("match_id")["published_at"].idxmax()
    superseded = reasons.isna() & ~rows.index.isin(latest)
    return reasons.mask(superseded, UnsettledReason.SUPERSEDED.value)


def _score(rows: pd.DataFrame, matches: pd.DataFrame, elo: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    p, y = rows[list(OUTCOMES)].to_numpy(float), outcomes(matches)
    baselines = {
        "elo": elo.set_index("match_id")
        .reindex(rows["match_id"])[[f"elo_{outcome}" for outcome in OUTCOMES]]
        .to_numpy(),
        "base": base_rates(known, rows),
        "market": bookmaker_probabilities(matches),
    }
    scored = rows.assign(
        kick_off=matches["kick_off"],
        home_goals=matches["home_goals"].astype("int64"),
        away_goals=matches["away_goals"].astype("int64"),
        outcome=y,
        rps=metrics.rps(p, y),
        log_loss=metrics.log_loss(p, y),
        brier=metrics.brier(p, y),
    )
    for name, probabilities in baselines.items():
        for column, outcome in enumerate(OUTCOMES):
            scored[f"{name}_{outcome}"] = probabilities[:, column].astype(float)
    return scored


def _columns(prefix: str) -> list[str]:
    return [f"{prefix}_{outcome}" for outcome in OUTCOMES]


def base_rates(matches: pd.DataFrame, rows: pd.DataFrame) -> Floats:
    """Compute the shares (n, 3) of home wins, draws and away wins up to the end of the model's training data.

    Parameters
    ----------
    matches : known matches of all competitions.
    rows : forecasts with `competition` and `trained_through`.

    Returns
    -------
    Shares in each row's competition; 1/3 each if it had no result by then.
    """
    played = matches[decided_on_pitch(matches)]
    rates = np.full((len(rows), 3), 1 / 3)
    for (competition, through), group in rows.groupby(["competition", "trained_through"]):
        before = played[(played["competition"] == competition) & (played["kick_off"] <= through)]
        if len(before):
            rates[group.index] = metrics.base_rate(outcomes(before))
    return rates


def bookmaker_probabilities(matches: pd.DataFrame) -> Floats:
    """Convert closing odds to probabilities (n, 3): inverse odds scaled to sum to 1.

    A match without closing odds gets those of earlier odds, or NaN if it has none.
    """
    closing, earlier = matches[_columns("closing")].to_numpy(float), matches[_columns("odds")].to_numpy(float)
    odds = np.where(np.isnan(closing).any(axis=1, keepdims=True), earlier, closing)
    odds = np.where((odds > 1).all(axis=1, keepdims=True), odds, np.nan)
    return np.asarray((1 / odds) / (1 / odds).sum(axis=1, keepdims=True))
