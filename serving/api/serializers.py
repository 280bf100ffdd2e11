"""Convert rows of the lake to the shapes of the API."""

from __future__ import annotations

from typing import Any

from features.errors import NotPublishedError, TouchlineError, UnknownMatchError
from features.io.registry import MODEL_NAME
from features.matches import OUTCOMES
from serving.api.catalogue.catalogue import Catalogue
from serving.api.catalogue.match_index import MatchRow


def clock_info(catalogue: Catalogue) -> dict[str, Any]:
    """Convert to `schemas.operations.ClockInfo`."""
    return {"as_of": catalogue.as_of, "clock": catalogue.clock.kind if catalogue.clock else None}


def serialize_forecast(catalogue: Catalogue, match_id: str) -> dict[str, Any] | None:
    """Convert a published forecast to `schemas.forecasts.PublishedForecast`; None if there is none."""
    row = catalogue.forecasts.get(match_id)
    if row is None:
        return None
    return {
        **{key: row[key] for key in ("match_id", "competition", "season", "kick_off", "home_team", "away_team")},
        **_forecast(row),
        "settled": _settlement(catalogue.settled.get(match_id)),
    }


def not_published_error(catalogue: Catalogue, match_id: str) -> TouchlineError:
    """Explain why a match has no published forecast."""
    row = catalogue.snapshot.by_id.get(match_id)
    if row is None:
        return UnknownMatchError(f"match {match_id!r} is unknown")
    when = "; none was made before its kick-off" if row.status == "played" else " yet"
    return NotPublishedError(f"match {match_id!r} has no published forecast{when}")


def serialize_match(catalogue: Catalogue, row: MatchRow) -> dict[str, Any]:
    """Convert a match to `schemas.matches.Match`."""
    forecast = catalogue.forecasts.get(row.match_id)
    score = None if row.home_goals is None else {"home": row.home_goals, "away": row.away_goals}
    return {
        "match_id": row.match_id,
        "competition": row.competition,
        "season": row.season,
        "matchday": row.matchday,
        "kick_off": row.kick_off,
        "kick_off_precision": "time" if row.kick_off_exact else "day",
        "home_team": row.home_team,
        "away_team": row.away_team,
        "status": row.status,
        "score": score,
        "forecast": None if forecast is None else _forecast(forecast),
    }


def _forecast(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "probabilities": {outcome: row[outcome] for outcome in OUTCOMES},
        "predicted_outcome": row["predicted_outcome"],
        "model": {"name": MODEL_NAME, "version": row["model_version"], "trained_through": row["trained_through"]},
        "features_as_of": row["features_as_of"],
        "published_at": row["published_at"],
    }


def _settlement(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "score": {"home": int(row["home_goals"]), "away": int(row["away_goals"])},
        "outcome": OUTCOMES[int(row["outcome"])],
        "rps": row["rps"],
        "log_loss": row["log_loss"],
        "brier": row["brier"],
    }
