"""Examples of the OpenAPI document. Tests validate each one against its schema."""

from __future__ import annotations

from typing import Any

from features.errors import UnknownMatchError
from serving.api.problem_details import JSON_HINT, to_problem
from serving.api.schemas.forecasts import FORECAST_EXAMPLE
from serving.api.schemas.problems import Problem
from serving.errors import (
    ForeignOriginError,
    InvalidFieldError,
    NoWorkersAvailableError,
    PayloadTooLargeError,
    PredictionTimeoutError,
    RequestTimeoutError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)

_REQUEST_ID = "3f0c8a52-7d43-4a57-9f0e-1c2b7a9d5e60"
_TASK_ID = "5b1e9c07-44ad-4b1f-8c55-0d8a3f6e2b71"
_TIMESTAMP = "2026-03-13T12:00:00Z"
_CLOCK_INFO = {"as_of": _TIMESTAMP, "clock": "replay"}
_PAIR = {"home_team": "Arsenal", "away_team": "Everton"}
_PROBABILITIES = FORECAST_EXAMPLE["probabilities"]
_ERRORS: dict[int, Exception] = {
    401: UnauthorizedError("send a valid API key in the header X-API-Key or Authorization: Bearer"),
    403: ForeignOriginError(
        "a page of 'https://other.example' may not call this API; add its origin to TOUCHLINE_CORS_ORIGINS"
    ),
    404: UnknownMatchError("match 'eng-premier-league-2025-26-arsenal-atlantis' is unknown"),
    408: RequestTimeoutError("the body did not arrive within 10 s"),
    413: PayloadTooLargeError("the body has 5000000 bytes; the limit is 1000000"),
    415: UnsupportedMediaTypeError(f"{JSON_HINT}; the header was text/plain"),
    422: InvalidFieldError("club 'Arsnal' is unknown", "home_team", ["Arsenal"]),
    500: RuntimeError(),
    503: NoWorkersAvailableError("no worker is running; the task was not queued"),
    504: PredictionTimeoutError("no worker answered within 30 s; the task was cancelled"),
}
_CONNECTION_PROBLEMS = {
    400: Problem(title="Bad Request", status=400, detail="Invalid HTTP request received."),
    431: Problem(
        title="Request Header Fields Too Large",
        status=431,
        detail="the limits are 100 headers and 32768 bytes",
    ),
}


def problem_example(status: int) -> dict[str, Any]:
    """Build a problem document of this status with the code that builds real ones."""
    problem = _CONNECTION_PROBLEMS.get(status) or to_problem(_ERRORS[status], _REQUEST_ID)[0]
    return problem.model_dump(mode="json")


_FORECAST_OF_MATCH = {
    **{key: FORECAST_EXAMPLE[key] for key in ("probabilities", "predicted_outcome", "model", "features_as_of")},
    "published_at": _TIMESTAMP,
}
_MATCH = {
    **{key: FORECAST_EXAMPLE[key] for key in ("match_id", "competition", "season", "kick_off")},
    **_PAIR,
    "kick_off_precision": "time",
    "matchday": 29,
    "status": "scheduled",
    "score": None,
    "forecast": _FORECAST_OF_MATCH,
}
_EXTENT = {"from": "2025-08-15T19:00:00Z", "to": "2026-03-09T20:00:00Z"}
_DRIFT = {
    "week": "2026-03-09",
    "state": "stable",
    "share": 0.0,
    "matches": 100,
    "minimum": 100,
    "method": "ks",
    "as_published": 100,
    "excluded_competitions": {"eng-championship": {"matches": 40, "reference": 1656}},
    "competitions": ["eng-premier-league"],
    "window": _EXTENT,
    "reference": {
        "from": "2022-08-05T19:00:00Z",
        "to": "2025-05-25T15:00:00Z",
        "matches": 1140,
        "seasons": ["2022-23", "2023-24", "2024-25"],
    },
    "trust": {
        "thresholds": {"home_elo": 0.001},
        "seasons": [],
        "windows": 0,
        "false_alarm_rate": None,
        "false_alarms": None,
        "power": None,
    },
    "drifted": [],
    "columns": [
        {
            "column": "home_elo",
            "kind": "feature",
            "p_value": 0.31,
            "threshold": 0.001,
            "drifted": False,
            "missing": 0.0,
            "mean_reference": 1512.4,
            "mean_window": 1508.9,
        }
    ],
    "digest": "0b1f9a3c5d7e8f21",
}
_SCORES = {"n": 150.0, "rps": 0.2, "log_loss": 0.98, "brier": 0.58, "accuracy": 0.53, "ece": 0.02}
_BIN = {"from": 0.5, "to": 0.6, "n": 40, "forecast": 0.55, "observed": 0.575, "low": 0.42, "high": 0.71}
_PERFORMANCE = {
    "as_of": _TIMESTAMP,
    "matches": 150,
    "groups": [
        {
            "competition": "eng-premier-league",
            "window": "season",
            "model_version": "all",
            "matches": 150,
            **_EXTENT,
            "scores": {"model": _SCORES, "elo": {**_SCORES, "rps": 0.205}, "market": None},
            "against": {"elo": {"skill": 0.024, "n": 150, "mean": -0.005, "low": -0.012, "high": 0.002}},
            "calibration": {
                "error": 0.02,
                "limit": 0.06,
                "consistent": True,
                "curves": {"home": [{**_BIN, "consistent": True}], "draw": [], "away": []},
            },
        }
    ],
    "weeks": [
        {"week": "2026-03-02", "matches": 10, "rps": {"model": 0.19, "market": None}, "rps_so_far": {"model": 0.2}}
    ],
}
_QUEUES = {"items": [{"name": "ml", "messages": 3, "consumers": 2}, {"name": "ml.dead", "messages": 0, "consumers": 0}]}
_WORKER = {"name": "worker-0/17", "pid": 17, "seen_at": _TIMESTAMP, "model_version": 1, "error": None}
_READY = {
    "broker": {"ok": True, "detail": "accepts tasks"},
    "results": {"ok": True, "detail": "reachable"},
    "workers": {"ok": True, "detail": "alive"},
    "model": {"ok": True, "detail": "version 1 in 2 worker processes"},
    "lake": {"ok": True, "detail": "20 clubs, 380 published forecasts"},
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "Alive": {"status": "ok"},
    "BatchRequest": {"matches": [_PAIR, {"home_team": "Arsnal", "away_team": "Chelsea"}]},
    "BatchResponse": {
        "items": [
            {"index": 0, "forecast": FORECAST_EXAMPLE, "error": None},
            {"index": 1, "forecast": None, "error": problem_example(422)},
        ]
    },
    "Competitions": {
        "items": [
            {
                "competition": "eng-premier-league",
                "name": "Premier League",
                "country": "England",
                "seasons": ["2025-26", "2024-25"],
                "matches": 760,
                "teams": 20,
            }
        ]
    },
    "DriftSummary": _DRIFT,
    "DriftWeeks": {"items": [_DRIFT]},
    "Insight": {
        "match_id": FORECAST_EXAMPLE["match_id"],
        "probabilities": _PROBABILITIES,
        "published_at": _TIMESTAMP,
        "expected_goals": {"home": 1.8, "away": 1.0},
        "scorelines": [{"home": 1, "away": 0, "probability": 0.11}],
        "explanation": {
            "baseline_log_odds": 0.4,
            "contributions": [
                {"rating": "elo", "share": 0.05},
                {"rating": "market", "share": 0.16},
                {"rating": "odds", "share": 0.4},
            ],
            "log_odds": 1.01,
        },
        "odds": {"home": 1.75, "draw": 3.8, "away": 4.7, "known_at": _TIMESTAMP},
        "matches_rated": {"home": 440, "away": 440},
        "sparse_history_clubs": [],
    },
    "Match": _MATCH,
    "MatchPage": {"items": [_MATCH], "next_cursor": None, **_CLOCK_INFO},
    "ModelInfo": {
        "name": "match-outcome",
        "version": 1,
        "trained_through": "2025-05-25T15:00:00Z",
        "created_at": _TIMESTAMP,
        "loaded_at": _TIMESTAMP,
        "features": ["elo_difference"],
        "tags": {"source": "bundled"},
        "workers": 2,
        "provisional": None,
        "other_versions": [],
    },
    "Performance": _PERFORMANCE,
    "Problem": problem_example(422),
    "PromotionGate": {
        "as_of": _TIMESTAMP,
        "candidate": 2,
        "production": 1,
        "previous": None,
        "policy": "manual",
        "matches": 110,
        "open": False,
        "waiting_since": None,
        "conditions": [
            {
                "name": "not_worse_than_production",
                "open": False,
                "value": "-0.00031 [-0.00354, +0.00290]",
                "threshold": "RPS difference below 0.001 by results or closing odds, and not above 0 by results",
                "why": "better than version 1 on the same 110 matches, but the bounds are too wide",
            }
        ],
        "comparison": {
            "margin": 0.001,
            "results": {
                "n": 110,
                "mean": -0.00031,
                "low": -0.00354,
                "high": 0.0029,
                "needed": 480,
                "expected_on": "2026-10-17",
            },
            "market": None,
            "residual": None,
            "market_rejection": None,
        },
    },
    "PublishedForecast": {
        **FORECAST_EXAMPLE,
        "published_at": _TIMESTAMP,
        "settled": {
            "score": {"home": 2, "away": 1},
            "outcome": "home",
            "rps": 0.12,
            "log_loss": 0.6,
            "brier": 0.3,
        },
    },
    "Queues": _QUEUES,
    "RatingHistory": {
        "items": [
            {
                "team": "Arsenal",
                "match_id": "eng-premier-league-2025-26-arsenal-everton",
                "kick_off": "2026-03-07T15:00:00Z",
                "elo": 1843.2,
            }
        ]
    },
    "Readiness": {"status": "ready", "parts": _READY, **_CLOCK_INFO},
    "SeasonTable": {
        "season": "2025-26",
        "model_version": 1,
        "features_as_of": "2026-03-09T20:00:00Z",
        "competition": "eng-premier-league",
        "complete": True,
        "places_known": True,
        "caveats": ["Points deductions are included only if they are listed or entered in TOUCHLINE_RULINGS."],
        "places": [{"name": "Champions", "kind": "title", "first": 1, "last": 1}],
        "items": [
            {
                "team": "Arsenal",
                "played": 29,
                "points": 67.0,
                "expected_points": 86.4,
                "p_title": 0.81,
                "p_top_four": 1.0,
                "p_relegation": 0.0,
                "positions": [0.81, 0.19],
                "chances": [0.81],
            }
        ],
    },
    "TaskAccepted": {"task_id": _TASK_ID, "status": "queued"},
    "TaskStatus": {"task_id": _TASK_ID, "status": "success", "result": FORECAST_EXAMPLE, "error": None},
    "Teams": {
        "items": [
            {
                "name": "Arsenal",
                "competition": "eng-premier-league",
                "season": "2025-26",
                "elo": 1843.2,
                "matches_played": 440,
                "features_as_of": "2026-03-09T20:00:00Z",
            }
        ]
    },
    "Workers": {"items": [_WORKER]},
}
METRICS_EXAMPLE = 'touchline_model_loaded{model="match-outcome"} 1.0\n'
FORECASTS_CSV_EXAMPLE = (
    "match_id,competition,season,kick_off,home_team,away_team,home,draw,away,predicted_outcome,model_version,"
    "trained_through,features_as_of,published_at,home_goals,away_goals,outcome,rps,log_loss,brier\n"
    '"eng-premier-league-2025-26-arsenal-chelsea","eng-premier-league","2025-26",2026-03-01T16:30:00Z,"Arsenal",'
    '"Chelsea",0.55,0.25,0.2,"home",3,2026-02-21T20:00:00Z,2026-02-22T16:30:00Z,2026-02-24T06:00:00Z,2,1,"home",'
    "0.12125,0.598,0.305\n"
)
