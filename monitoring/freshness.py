"""Freshness: how far the lake's contents reach, and what should be there and is not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from features.matches import Status

OVERDUE = timedelta(days=1)
"""A match without result this long after kick-off is overdue: feeds correct themselves within hours."""

HORIZON = timedelta(days=7)
"""A fixture nearer than this should have a forecast."""


def freshness(
    matches: pd.DataFrame,
    forecasts: pd.DataFrame,
    settled: int,
    quarantined: Mapping[str, int],
    as_of: datetime,
    written_at: datetime,
) -> dict[str, Any]:
    """The document `reports/freshness.json`.

    Parameters
    ----------
    matches : the matches table of all competitions, as known at `as_of`.
    forecasts : all published forecasts, at least `match_id` and `published_at`.
    settled : number of settled forecasts.
    quarantined : rows put aside, by competition.
    as_of : the moment the pipeline stands at; what is overdue or missing is measured from here.
    written_at : real time of the run, from which an alert knows that the pipeline has stopped.
    """
    competitions = sorted(set(matches["competition"]) | set(quarantined))
    forecast_ids = set(forecasts["match_id"])
    newest = forecasts["published_at"].max() if len(forecasts) else None
    return {
        "as_of": as_of.isoformat(),
        "written_at": written_at.isoformat(),
        "forecasts": {
            "published": len(forecast_ids),
            "settled": settled,
            "last_published_at": None if newest is None else newest.isoformat(),
        },
        "competitions": {
            name: _competition(matches[matches["competition"] == name], forecast_ids, as_of)
            | {"quarantined": int(quarantined.get(name, 0))}
            for name in competitions
        },
    }


def _competition(rows: pd.DataFrame, forecast_ids: set[str], as_of: datetime) -> dict[str, Any]:
    now = pd.Timestamp(as_of)
    played, scheduled = rows[rows["status"] == Status.PLAYED], rows[rows["status"] == Status.SCHEDULED]
    soon = scheduled[(scheduled["kick_off"] > now) & (scheduled["kick_off"] <= now + HORIZON)]
    last = played["kick_off"].max() if len(played) else None
    return {
        "results": len(played),
        "fixtures": len(rows) - len(played),
        "last_result": None if last is None else last.isoformat(),
        "overdue": int((scheduled["kick_off"] < now - OVERDUE).sum()),
        "without_forecast": int((~soon["match_id"].isin(forecast_ids)).sum()),
    }
