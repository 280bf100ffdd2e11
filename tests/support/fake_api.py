"""A small API whose responses have the shapes of the real one, served on a free port."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from features.io.sources import bundled
from tests.support.fake_api_data import (
    COMPETITION,
    GATE,
    MODEL,
    PLACES,
    drift_week,
    forecast,
    season_table,
)
from tests.support.ports import free_port


def wait_until(is_ready: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Poll until `is_ready` returns true; raise TimeoutError naming `what` otherwise."""
    deadline = time.monotonic() + seconds
    while not is_ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not start within {seconds:.0f} s")
        time.sleep(0.05)


class FakeApi:
    """Responds like the API. `mode`: ok, empty (no pipeline run yet), starting (503) or locked (401)."""

    def __init__(self, rows: list[dict[str, Any]], performance_report: dict[str, Any]) -> None:
        self.mode = "ok"
        self.away_matches = 380
        self.table_flags: dict[str, Any] = {"complete": True, "places_known": True}
        self.clock = {"as_of": bundled.REPLAY_AS_OF.isoformat(), "clock": "replay"}
        self.rows = rows
        self.provisional: dict[str, Any] | None = None
        self.polls: dict[str, int] = {}
        self.drift_weeks = [
            drift_week("2026-03-09", "drift", 0.01, {"pi": 1e-5}),
            drift_week("2026-03-02", "stable", 0.01, {}),
            drift_week("2025-08-18", "too_few_matches", 0.01, {})
            | {"share": None, "matches": 20, "as_published": 0, "columns": [], "drifted": []}
            | {"competitions": [], "excluded_competitions": {"eng-premier-league": {"matches": 20, "reference": 1140}}},
        ]
        self.report = deepcopy(performance_report)
        self.gate: dict[str, Any] = deepcopy(GATE)
        self.predict_requests: list[dict[str, Any]] = []
        self.task_result: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self.app = FastAPI()
        self.url = ""
        self._routes()

    def _routes(self) -> None:
        app = self.app

        @app.middleware("http")
        async def fail(request: Request, call_next: Any) -> Any:
            if self.mode == "starting":
                return problem(503, "no model is loaded: the registry has no production version yet")
            if self.mode == "locked":
                return problem(401, "send a valid API key in the header X-API-Key or Authorization: Bearer")
            return await call_next(request)

        app.get("/matches")(self.matches)
        app.get("/matches/{match_id}")(self.match)
        app.get("/matches/{match_id}/insight")(self.insight)
        app.get("/matches/{match_id}/ratings")(self.ratings)
        app.get("/teams")(self.teams)
        app.get("/competitions")(self.competitions)
        app.get("/competitions/{competition}/table")(self.table)
        app.get("/predict/model/info")(self.model_info)
        app.get("/predict/{match_id}")(self.published_forecast)
        app.get("/monitoring/performance")(self.performance)
        app.get("/monitoring/gate")(self.promotion_gate)
        app.get("/monitoring/drift")(self.drift)
        app.get("/monitoring/drift/{week}/report")(self.drift_report)
        app.post("/predict/async/", status_code=202)(self.predict_async)
        app.get("/monitoring/task_status/{task_id}")(self.task_status)

    def _rows(self) -> list[dict[str, Any]]:
        return [] if self.mode == "empty" else self.rows

    def matches(
        self,
        status: str = "",
        team: str = "",
        competition: str = "",
        date_from: str = "",
        date_to: str = "9999",
        order: str = "asc",
        limit: int = 50,
        cursor: str = "",
    ) -> Any:
        rows = [
            row
            for row in self._rows()
            if status in ("", row["status"])
            and team in ("", row["home_team"], row["away_team"])
            and competition in ("", row["competition"])
            and date_from <= row["kick_off"][:10] <= date_to
        ]
        rows.sort(key=lambda row: row["kick_off"], reverse=order == "desc")
        start = int(cursor or 0)
        next_cursor = str(start + limit) if start + limit < len(rows) else None
        return {"items": rows[start : start + limit], "next_cursor": next_cursor, **self.clock}

    def match(self, match_id: str) -> Any:
        for row in self._rows():
            if row["match_id"] == match_id:
                return row
        return problem(404, f"match {match_id!r} is unknown; nearest: {COMPETITION}-2025-26-arsenal-chelsea")

    def ratings(self, match_id: str) -> Any:
        clubs = match_id.removeprefix(f"{COMPETITION}-2025-26-")
        both = [row for row in self._rows() if row["match_id"].endswith(clubs)][-1:]
        return {
            "items": [
                {
                    "team": row[side],
                    "match_id": match_id,
                    "kick_off": f"2026-0{month}-01T15:00:00Z",
                    "elo": 1600 + month,
                }
                for row in both
                for month in (1, 2, 3)
                for side in ("home_team", "away_team")
            ]
        }

    def insight(self, match_id: str) -> Any:
        row = next((row for row in self._rows() if row["match_id"] == match_id and row["forecast"]), None)
        if row is None:
            return problem(404, f"match {match_id!r} has no published forecast")
        p = row["forecast"]["probabilities"]
        scores = ((1, 1, 0.12), (2, 1, 0.1), (1, 0, 0.09), (2, 0, 0.08), (1, 2, 0.07))
        log_odds, baseline = math.log(p["home"] / p["away"]), 0.35
        parts = (("elo", 0.5), ("pi", 0.7), ("goals", -0.2))
        return {
            "match_id": match_id,
            "probabilities": p,
            "published_at": row["forecast"]["published_at"],
            "expected_goals": {"home": 1.72, "away": 1.08},
            "scorelines": [{"home": home, "away": away, "probability": p_score} for home, away, p_score in scores],
            "explanation": {
                "baseline_log_odds": baseline,
                "contributions": [{"rating": name, "share": part * (log_odds - baseline)} for name, part in parts],
                "log_odds": log_odds,
            },
            "matches_rated": {"home": 440, "away": self.away_matches},
            "sparse_history_clubs": [row["away_team"]] if self.away_matches < 10 else [],
        }

    def teams(self) -> Any:
        names = sorted({row["home_team"] for row in self._rows() if row["season"] == "2025-26"})
        common = {"competition": COMPETITION, "season": "2025-26", "features_as_of": "2026-03-08T19:00:00Z"}
        return {
            "items": [
                {"name": n, "elo": 1400.0 + sum(map(ord, n)) % 350, "matches_played": 400, **common} for n in names
            ]
        }

    def competitions(self) -> Any:
        league = {"competition": COMPETITION, "name": "Premier League", "country": "eng"}
        competition = league | {"seasons": ["2025-26", "2024-25"], "matches": len(self.rows), "teams": 20}
        return {"items": [competition] if self._rows() else []}

    def table(self, competition: str) -> Any:
        if not self._rows():
            return problem(404, f"season_forecast/{competition} has not been published yet")
        rows = season_table([team["name"] for team in self.teams()["items"]])
        made_from = {"season": "2025-26", "model_version": 1, "features_as_of": "2026-03-05T20:00:00Z"}
        return {"competition": competition, **made_from, **self.table_flags, "places": PLACES, "items": rows}

    def model_info(self) -> Any:
        if not self._rows():
            return problem(503, "no model is in production yet")
        return {
            **MODEL,
            "created_at": "2026-03-13T12:01:00Z",
            "loaded_at": "2026-03-13T12:03:00Z",
            "features": ["elo", "pi", "pi_reverse", "log_rate_home", "log_rate_away"],
            "tags": {"promoted_because": "first version that beats the base rate and plain Elo"},
            "workers": 1,
            "provisional": self.provisional,
            "other_versions": [],
        }

    def published_forecast(self, match_id: str) -> Any:
        row = next((row for row in self._rows() if row["match_id"] == match_id and row["forecast"]), None)
        if row is None:
            return problem(404, f"no forecast was published for {match_id}")
        score = {"rps": 0.151, "log_loss": 0.82, "brier": 0.5, "outcome": "home", "score": row["score"]}
        return {**row["forecast"], "settled": score if row["score"] else None}

    def performance(self) -> Any:
        if not self._rows():
            return problem(404, "reports/performance.json has not been published yet")
        return self.report

    def promotion_gate(self) -> Any:
        if not self._rows():
            return problem(404, "reports/gate.json has not been published yet")
        return self.gate

    def drift(self) -> Any:
        return {"items": self.drift_weeks if self._rows() else []}

    def drift_report(self, week: str) -> Any:
        return HTMLResponse(
            f"<!doctype html><html><body><h1>Drift report of {week}</h1><p style='height:3000px'></p><script>"
            "try { top.document.title = 'taken'; document.body.dataset.reached = 'yes' } "
            "catch { document.body.dataset.reached = 'no' }</script></body></html>"
        )

    async def predict_async(self, request: Request) -> Any:
        body = await request.json()
        self.predict_requests.append(body)
        task_id = f"task-{len(self.predict_requests)}"
        self.polls[task_id] = 0
        return {"task_id": task_id, "status": "queued"}

    def task_status(self, task_id: str) -> Any:
        if task_id not in self.polls:
            return problem(404, f"task {task_id!r} is unknown")
        self.polls[task_id] += 1
        if self.polls[task_id] <= 2:
            return {"task_id": task_id, "status": ["pending", "started"][self.polls[task_id] - 1]}
        body = self.predict_requests[int(task_id.removeprefix("task-")) - 1]
        if self.task_result:
            return {"task_id": task_id, **self.task_result(body)}
        return {"task_id": task_id, "status": "success", "result": forecast(body)}


def problem(status: int, detail: str) -> JSONResponse:
    body = {"type": "about:blank", "title": "Problem", "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


class FakeApiServer:
    """Context manager that serves a FakeApi on a free port from a thread."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.port = free_port()
        config = uvicorn.Config(api.app, host="127.0.0.1", port=self.port, log_config=None, log_level="warning")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> FakeApi:
        self.thread.start()
        wait_until(lambda: self.server.started, "the fake API")
        self.api.url = f"http://127.0.0.1:{self.port}"
        return self.api

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=10)
