"""Freshness: how recent the data in the lake is, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from features.matches import Status

OVERDUE_AFTER = timedelta(days=1)
"""A result is overdue this long after kick-off. Feeds publish corrections within hours."""

FORECAST_REQUIRED_WITHIN = timedelta(days=7)
"""Fixtures within this time should have a forecast."""


def freshness_report(
    matches: pd.DataFrame,
    forecasts: pd.DataFrame,
    settled: int,
    quarantined: Mapping[str, int],
    as_of: datetime,
    written_at: datetime,
    production: int | None,
) -> dict[str, Any]:
    """Build the document `reports/freshness.json`.

    Parameters
    ----------
    matches : the matches table of all competitions, as known at `as_of`.
    forecasts : all published forecasts: `match_id`, `published_at`, `features_as_of`, `model_version`.
    settled : number of settled forecasts.
    quarantined : number of quarantined rows by competition.
    as_of : pipeline time, which decides what is overdue or missing.
    written_at : real time of the run; if it is old, an alert reports that the pipeline has stopped.
    production : version that forecasts should come from; None without one.
    """
    competitions = sorted(set(matches["competition"]) | set(quarantined))
    # a rescheduled match has a row in two weekly tables; users see the one published last
    latest = forecasts.sort_values("published_at").drop_duplicates("match_id", keep="last").set_index("match_id")
    newest = forecasts["published_at"].max() if len(forecasts) else None
    return {
        "as_of": as_of.isoformat(),
        "written_at": written_at.isoformat(),
        "forecasts": {
            "published": len(latest),
            "settled": settled,
            "last_published_at": None if newest is None else newest.isoformat(),
        },
        "competitions": {
            name: _competition(matches[matches["competition"] == name], latest, as_of, production)
            | {"quarantined": int(quarantined.get(name, 0))}
            for name in competitions
        },
    }


def _competition(
    rows: pd.DataFrame, forecasts: pd.DataFrame, as_of: datetime, production: int | None
) -> dict[str, Any]:
    now = pd.Timestamp(as_of)
    played, scheduled = rows[rows["status"] == Status.PLAYED], rows[rows["status"] == Status.SCHEDULED]
    ahead = scheduled[scheduled["kick_off"] > now]
    soon = ahead[ahead["kick_off"] <= now + FORECAST_REQUIRED_WITHIN]
    has_forecast = soon["match_id"].isin(forecasts.index)
    last = played["kick_off"].max() if len(played) else None
    return {
        "results": len(played),
        "fixtures": len(rows) - len(played),
        "last_result": None if last is None else last.isoformat(),
        "overdue": int((scheduled["kick_off"] < now - OVERDUE_AFTER).sum()),
        "unlisted": 0 if len(ahead) else _missing_fixtures(rows),
        "without_forecast": int((~has_forecast).sum()),
        "stale": _stale(soon[has_forecast], forecasts, played, production),
    }


def _missing_fixtures(rows: pd.DataFrame) -> int:
    """Count the matches missing from the newest season, in which each club hosts each other club at least once."""
    season = rows[rows["season"] == rows["season"].max()]
    clubs = len(set(season["home_team"]) | set(season["away_team"]))
    return max(0, clubs * (clubs - 1) - len(season))


def _stale(fixtures: pd.DataFrame, forecasts: pd.DataFrame, played: pd.DataFrame, production: int | None) -> int:
    """Count the forecasts made before a club's newest result, or by a version that is not in production."""
    rows = forecasts.loc[fixtures["match_id"]]
    latest = pd.concat([played.groupby(f"{side}_team")["kick_off"].max() for side in ("home", "away")])
    newest = latest.groupby(level=0).max()
    home, away = (newest.reindex(fixtures[f"{side}_team"]).set_axis(rows.index) for side in ("home", "away"))
    outdated = (rows["features_as_of"] < home) | (rows["features_as_of"] < away)
    replaced = (rows["model_version"] != production) & (production is not None)
    return int((outdated | replaced).sum())
