"""A small API with real-shaped answers on a free port, the app under AppTest, and the app in a real browser."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from streamlit.testing.v1 import AppTest

from features.io.sources import bundled
from features.matches import as_known_at
from features.metrics import rps
from monitoring.performance import performance_report
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
APP = ROOT / "ui" / "streamlit_app.py"
COMPETITION = "eng-premier-league"
MODEL = {"name": "match-outcome", "version": 3, "trained_through": "2025-05-25T15:00:00Z"}


def triple(home: str, away: str) -> dict[str, float]:
    """Chances that differ by match and are the same in every run."""
    strength = (sum(map(ord, home)) - sum(map(ord, away))) % 97 / 97 - 0.5
    p_home = 0.44 + 0.5 * strength
    p_draw = 0.27 - 0.15 * abs(strength)
    return {"home": p_home, "draw": p_draw, "away": 1 - p_home - p_draw}


def forecast(row: dict[str, Any]) -> dict[str, Any]:
    chances = triple(row["home_team"], row["away_team"])
    base = {k: row.get(k) for k in ("match_id", "competition", "season", "kick_off", "home_team", "away_team")}
    best = max(chances, key=lambda outcome: chances[outcome])
    return base | {
        "probabilities": chances,
        "predicted_outcome": best,
        "model": MODEL,
        "features_as_of": "2026-03-08T19:00:00Z",
    }


def published(row: dict[str, Any]) -> dict[str, Any]:
    return forecast(row) | {"published_at": "2026-03-09T00:00:00Z"}


def season(as_of: Any = bundled.REPLAY_AS_OF) -> list[dict[str, Any]]:
    """The real 2025/26 and the season before, as known in March 2026; only the running season has forecasts."""
    table = as_known_at(bundled.load(), as_of)
    table = table[table["season"].isin(["2024-25", "2025-26"])]
    rows = []
    for row in table.to_dict("records"):
        match = {k: row[k] for k in ("match_id", "competition", "season", "home_team", "away_team", "status")}
        match["matchday"] = int(row["matchday"])
        match["kick_off"] = row["kick_off"].isoformat().replace("+00:00", "Z")
        played = row["status"] == "played"
        match["score"] = {"home": int(row["home_goals"]), "away": int(row["away_goals"])} if played else None
        match["forecast"] = published(match) if row["season"] == "2025-26" else None
        rows.append(match)
    return rows


PLACES = [
    {"name": "Title", "kind": "title", "first": 1, "last": 1},
    {"name": "Champions League", "kind": "top", "first": 1, "last": 4},
    {"name": "Relegation play-off", "kind": "play_off", "first": 17, "last": 17},
    {"name": "Relegation", "kind": "relegation", "first": 18, "last": 20},
]


def standings(names: list[str]) -> list[dict[str, Any]]:
    """A simulated table in which the first is likely to stay first."""
    rows = []
    for place, name in enumerate(names):
        weight = [2.0 ** -abs(place - position) for position in range(len(names))]
        positions = [one / sum(weight) for one in weight]
        p = {"p_title": positions[0], "p_top_four": sum(positions[:4]), "p_relegation": sum(positions[-3:])}
        points = {"played": 29, "points": 60.0 - 2 * place, "expected_points": 80.0 - 2.5 * place}
        chances = [sum(positions[one["first"] - 1 : one["last"]]) for one in PLACES]
        rows.append({"team": name, **points, **p, "positions": positions, "chances": chances})
    return rows


def drift_week(week: str, state: str, threshold: float, p_values: dict[str, float]) -> dict[str, Any]:
    """A summary as `monitoring.drift` writes it."""
    columns = [
        {
            "column": name,
            "kind": "prediction" if name in ("home", "draw", "away") else "feature",
            "p_value": p_values.get(name, 0.6),
            "threshold": threshold,
            "drifted": name in p_values,
            "missing": 0.0,
            "mean_reference": 0.12,
            "mean_window": 0.11,
        }
        for name in ("elo", "pi", "pi_reverse", "log_home_goals", "log_away_goals", "home", "draw", "away")
    ]
    return {
        "week": week,
        "method": "ks",
        "state": state,
        "matches": 100,
        "as_published": 100,
        "minimum": 100,
        "excluded_competitions": {},
        "competitions": ["eng-premier-league"],
        "digest": "0" * 16,
        "share": len(p_values) / len(columns),
        "drifted": list(p_values),
        "columns": columns,
        "window": {"from": "2026-01-03T15:00:00+00:00", "to": "2026-03-05T20:00:00+00:00"},
        "reference": {
            "from": "2022-08-05T19:00:00+00:00",
            "to": "2025-05-25T15:00:00+00:00",
            "matches": 1140,
            "seasons": ["2022-23", "2023-24", "2024-25"],
        },
        "trust": {
            "thresholds": {one["column"]: threshold for one in columns},
            "seasons": [2018, 2019],
            "windows": 174,
            "false_alarm_rate": 0.086,
            "false_alarms": {"2018": 0.1, "2019": 0.07},
            "power": {"a broken feed": 0.9},
        },
    }


def settled(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Settled forecasts as the pipeline writes them, with the columns that the report reads."""
    number = {"home": 0, "draw": 1, "away": 2}
    table = []
    for row in rows:
        if not (row["forecast"] and row["score"]):
            continue
        goals = row["score"]["home"] - row["score"]["away"]
        p = row["forecast"]["probabilities"]
        base = dict(zip(("base_home", "base_draw", "base_away"), (0.44, 0.24, 0.32), strict=True))
        elo = {f"elo_{name}": 0.5 * p[name] + 0.5 / 3 for name in number}
        market = dict.fromkeys((f"market_{name}" for name in number), float("nan"))
        outcome = "home" if goals > 0 else "away" if goals < 0 else "draw"
        kept = {k: row[k] for k in ("match_id", "competition", "season")}
        kick_off = pd.Timestamp(row["kick_off"])
        table.append(kept | p | base | elo | market | {"outcome": number[outcome], "kick_off": kick_off})
    frame = pd.DataFrame(table).assign(model_version=3)
    frame["rps"] = rps(frame[list(number)].to_numpy(), frame["outcome"].to_numpy())
    return frame


class FakeApi:
    """Answers like the API. `mode`: ok, empty (a pipeline that has not run), starting (503), locked (401)."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.mode = "ok"
        self.away_matches = 380
        self.season = {"complete": True, "places_known": True}
        self.standing = {"as_of": bundled.REPLAY_AS_OF.isoformat(), "clock": "replay"}
        self.rows = rows
        self.polls: dict[str, int] = {}
        self.drift_weeks = [
            drift_week("2026-03-09", "drift", 0.01, {"pi": 1e-5}),
            drift_week("2026-03-02", "stable", 0.01, {}),
            drift_week("2025-08-18", "too_few_matches", 0.01, {})
            | {"share": None, "matches": 20, "as_published": 0, "columns": [], "drifted": []}
            | {"competitions": [], "excluded_competitions": {"eng-premier-league": {"matches": 20, "reference": 1140}}},
        ]
        self.report: dict[str, Any] = {}
        self.asked: list[dict[str, Any]] = []
        self.task_result: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self.app = FastAPI()
        self.url = ""
        self._routes()

    def _routes(self) -> None:
        app = self.app

        @app.middleware("http")
        async def not_ready(request: Request, call_next: Any) -> Any:
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
        app.get("/predict/{match_id}")(self.published)
        app.get("/monitoring/performance")(self.performance)
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
        found = [
            row
            for row in self._rows()
            if status in ("", row["status"])
            and team in ("", row["home_team"], row["away_team"])
            and competition in ("", row["competition"])
            and date_from <= row["kick_off"][:10] <= date_to
        ]
        found.sort(key=lambda row: row["kick_off"], reverse=order == "desc")
        start = int(cursor or 0)
        more = start + limit < len(found)
        following = str(start + limit) if more else None
        return {"items": found[start : start + limit], "next_cursor": following, **self.standing}

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
        total, usual = math.log(p["home"] / p["away"]), 0.35
        parts = (("elo", 0.5), ("pi", 0.7), ("goals", -0.2))
        return {
            "match_id": match_id,
            "probabilities": p,
            "published_at": row["forecast"]["published_at"],
            "expected_goals": {"home": 1.72, "away": 1.08},
            "scorelines": [{"home": home, "away": away, "probability": chance} for home, away, chance in scores],
            "explanation": {
                "baseline_log_odds": usual,
                "contributions": [{"rating": name, "share": part * (total - usual)} for name, part in parts],
                "log_odds": total,
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
        held = league | {"seasons": ["2025-26", "2024-25"], "matches": len(self.rows), "teams": 20}
        return {"items": [held] if self._rows() else []}

    def table(self, competition: str) -> Any:
        if not self._rows():
            return problem(404, f"season_forecast/{competition} has not been published yet")
        rows = standings([team["name"] for team in self.teams()["items"]])
        made_from = {"season": "2025-26", "model_version": 1, "features_as_of": "2026-03-05T20:00:00Z"}
        return {"competition": competition, **made_from, **self.season, "places": PLACES, "items": rows}

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
            "other_versions": [],
        }

    def published(self, match_id: str) -> Any:
        row = next((row for row in self._rows() if row["match_id"] == match_id and row["forecast"]), None)
        if row is None:
            return problem(404, f"no forecast was published for {match_id}")
        score = {"rps": 0.151, "log_loss": 0.82, "brier": 0.5, "outcome": "home", "score": row["score"]}
        return {**row["forecast"], "settled": score if row["score"] else None}

    def performance(self) -> Any:
        if not self._rows():
            return problem(404, "reports/performance.json has not been published yet")
        self.report = self.report or performance_report(settled(self.rows), bundled.REPLAY_AS_OF)
        return self.report

    def drift(self) -> Any:
        return {"items": self.drift_weeks if self._rows() else []}

    def drift_report(self, week: str) -> Any:
        return HTMLResponse(
            f"<!doctype html><html><body><h1>Drift report of {week}</h1><p style='height:3000px'></p></body></html>"
        )

    async def predict_async(self, request: Request) -> Any:
        body = await request.json()
        self.asked.append(body)
        task_id = f"task-{len(self.asked)}"
        self.polls[task_id] = 0
        return {"task_id": task_id, "status": "queued"}

    def task_status(self, task_id: str) -> Any:
        if task_id not in self.polls:
            return problem(404, f"task {task_id!r} is unknown")
        self.polls[task_id] += 1
        if self.polls[task_id] <= 2:
            return {"task_id": task_id, "status": ["pending", "started"][self.polls[task_id] - 1]}
        body = self.asked[int(task_id.removeprefix("task-")) - 1]
        if self.task_result:
            return {"task_id": task_id, **self.task_result(body)}
        return {"task_id": task_id, "status": "success", "result": forecast(body)}


def problem(status: int, detail: str) -> JSONResponse:
    body = {"type": "about:blank", "title": "Problem", "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


@pytest.fixture(scope="session")
def real_matches() -> list[dict[str, Any]]:
    return season()


@pytest.fixture
def api(real_matches: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    """A running API; the app under test is told its address."""
    fake = FakeApi(real_matches)
    with Served(fake):
        monkeypatch.setenv("TOUCHLINE_API_URL", fake.url)
        yield fake


@pytest.fixture(scope="module")
def module_api(real_matches: list[dict[str, Any]]) -> Iterator[FakeApi]:
    """A running API for tests that share one viewer."""
    with Served(FakeApi(real_matches)) as fake:
        yield fake


class Served:
    """Run a FakeApi in a thread while the block lasts."""

    def __init__(self, fake: FakeApi) -> None:
        self.fake = fake
        self.port = free_port()
        config = uvicorn.Config(fake.app, host="127.0.0.1", port=self.port, log_level="warning")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> FakeApi:
        self.thread.start()
        wait(lambda: self.server.started, "the fake API")
        self.fake.url = f"http://127.0.0.1:{self.port}"
        return self.fake

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=10)


def wait(ready: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come up within {seconds:.0f} s")
        time.sleep(0.05)


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Run the app on one page, as a fresh reader with an address."""

    def run(page: str = "", **query: str) -> AppTest:
        import streamlit as st

        st.cache_data.clear()
        st.cache_resource.clear()
        app = AppTest.from_file(str(APP), default_timeout=60)
        if page:
            app.run()  # only after a run does AppTest know the pages by their files
            app.switch_page(f"app_pages/{page}.py")
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return run


def text_of(app: AppTest) -> str:
    """Everything that a reader could read on the page, HTML included."""
    parts = [
        e.value
        for kind in ("title", "subheader", "caption", "markdown", "error", "warning", "info")
        for e in app.get(kind)
    ]
    return "\n".join([*map(str, parts), *(e.proto.body for e in app.get("html"))])


@pytest.fixture
def text() -> Callable[[AppTest], str]:
    return text_of


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    return wait
