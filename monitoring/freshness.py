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


def freshness_report(
    matches: pd.DataFrame,
    forecasts: pd.DataFrame,
    settled: int,
    quarantined: Mapping[str, int],
    as_of: datetime,
    written_at: datetime,
    production: int | None,
) -> dict[str, Any]:
    """The document `reports/freshness.json`.

    Parameters
    ----------
    matches : the matches table of all competitions, as known at `as_of`.
    forecasts : all published forecasts: `match_id`, `published_at`, `features_as_of`, `model_version`.
    settled : number of settled forecasts.
    quarantined : rows put aside, by competition.
    as_of : the moment the pipeline stands at; what is overdue or missing is measured from here.
    written_at : real time of the run, from which an alert knows that the pipeline has stopped.
    production : version that forecasts should be from; None while none is in production.
    """
    competitions = sorted(set(matches["competition"]) | set(quarantined))
    # a match that was moved has a row in two weeks; the one published last is what readers are shown
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
    soon = ahead[ahead["kick_off"] <= now + HORIZON]
    forecast = soon["match_id"].isin(forecasts.index)
    last = played["kick_off"].max() if len(played) else None
    return {
        "results": len(played),
        "fixtures": len(rows) - len(played),
        "last_result": None if last is None else last.isoformat(),
        "overdue": int((scheduled["kick_off"] < now - OVERDUE).sum()),
        "unlisted": 0 if len(ahead) else _unlisted(rows),
        "without_forecast": int((~forecast).sum()),
        "stale": _stale(soon[forecast], forecasts, played, production),
    }


def _unlisted(rows: pd.DataFrame) -> int:
    """Matches that the newest season still lacks: each club is at home to each other one once at least."""
    season = rows[rows["season"] == rows["season"].max()]
    clubs = len(set(season["home_team"]) | set(season["away_team"]))
    return max(0, clubs * (clubs - 1) - len(season))


def _stale(fixtures: pd.DataFrame, forecasts: pd.DataFrame, played: pd.DataFrame, production: int | None) -> int:
    """Forecasts that do not know the newest result of one of their clubs, or are not of the version in production."""
    rows = forecasts.loc[fixtures["match_id"]]
    seen = pd.concat([played.groupby(f"{side}_team")["kick_off"].max() for side in ("home", "away")])
    newest = seen.groupby(level=0).max()
    home, away = (newest.reindex(fixtures[f"{side}_team"]).set_axis(rows.index) for side in ("home", "away"))
    unaware = (rows["features_as_of"] < home) | (rows["features_as_of"] < away)
    replaced = (rows["model_version"] != production) & (production is not None)
    return int((unaware | replaced).sum())
