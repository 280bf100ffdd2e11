"""The load test of record: a mix of what users of the API do. `make load-test` runs it headless.

Ends with the service objectives and a verdict; the exit code is 1 if one is missed.
"""

from __future__ import annotations

import math
import random
import time
from typing import Any
from urllib.parse import quote

from locust import HttpUser, between, events, task

P50, P99, AVAILABILITY = 50.0, 200.0, 0.99
PATIENCE = 30.0
"""Seconds within which an accepted task must have ended."""


class Application(HttpUser):
    """A program that asks for forecasts, and a person's viewer beside it."""

    wait_time = between(0.05, 0.15)

    def on_start(self) -> None:
        self.dice = random.Random()
        self.teams = [one["name"] for one in self.client.get("/teams").json()["items"]]
        self.leagues = [one["competition"] for one in self.client.get("/competitions").json()["items"]]
        listed = [
            one
            for status, order in (("scheduled", "asc"), ("played", "desc"))
            for one in self.client.get(f"/matches?status={status}&order={order}", name="/matches").json()["items"]
        ]
        self.matches = [one["match_id"] for one in listed]
        self.forecast = [one["match_id"] for one in listed if one["forecast"]]
        self.weeks = [one["week"] for one in self.client.get("/monitoring/drift").json()["items"]]

    def _pair(self) -> dict[str, str]:
        home, away = self.dice.sample(self.teams, 2)
        return {"home_team": home, "away_team": away}

    def _get(self, path: str, name: str, maybe: bool = False) -> None:
        """Ask for something; where `maybe`, that it is not published (yet) is a good answer."""
        with self.client.get(path, name=name, catch_response=True) as answer:
            if maybe and answer.status_code == 404:
                answer.success()

    @task(40)
    def predict(self) -> None:
        self.client.post("/predict", json=self._pair())

    @task(20)
    def published(self) -> None:
        if self.forecast:
            self._get(f"/predict/{self.dice.choice(self.forecast)}", "/predict/{match_id}")

    @task(10)
    def predict_later(self) -> None:
        started = time.perf_counter()
        accepted = self.client.post("/predict/async/", json=self._pair())
        if accepted.status_code != 202:
            return
        error = self._follow(f"/monitoring/task_status/{accepted.json()['task_id']}")
        events.request.fire(
            request_type="TASK",
            name="accepted to ended",
            response_time=(time.perf_counter() - started) * 1000,
            response_length=0,
            exception=error,
            context={},
        )

    def _follow(self, path: str) -> Exception | None:
        """Why a task did not end as it should."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            status = self.client.get(path, name="/monitoring/task_status/{task_id}").json()
            if status.get("status") == "success":
                return None
            if status.get("status") not in {"pending", "started"}:
                return RuntimeError(f"the task failed: {status.get('error') or status.get('detail')}")
            time.sleep(0.1)
        return TimeoutError(f"the task has not ended after {PATIENCE:g} s")

    @task(2)
    def predict_many(self) -> None:
        self.client.post("/predict/batch", json={"matches": [self._pair() for _ in range(100)]})

    @task(10)
    def browse(self) -> None:
        self._get("/matches?status=scheduled&limit=20", "/matches")
        self._get(f"/matches?team={quote(self.dice.choice(self.teams))}&order=desc", "/matches")
        if self.matches:
            self._get(f"/matches/{self.dice.choice(self.matches)}", "/matches/{match_id}")

    @task(2)
    def study_a_match(self) -> None:
        if self.forecast:
            match = self.dice.choice(self.forecast)
            self._get(f"/matches/{match}/insight", "/matches/{match_id}/insight", maybe=True)
            self._get(f"/matches/{match}/ratings", "/matches/{match_id}/ratings", maybe=True)

    @task(2)
    def study_a_season(self) -> None:
        league = self.dice.choice(self.leagues)
        self._get(f"/competitions/{league}/table", "/competitions/{competition}/table", maybe=True)

    @task(1)
    def export_forecasts(self) -> None:
        for path in ("/forecasts.csv", "/forecasts.parquet"):
            self._get(path, path, maybe=True)

    @task(4)
    def look_around(self) -> None:
        for path in ("/competitions", "/teams", "/predict/model/info"):
            self._get(path, path)

    @task(2)
    def review(self) -> None:
        for path in ("/monitoring/celery/queues", "/monitoring/celery/workers", "/monitoring/drift"):
            self._get(path, path)
        for path in ("/monitoring/performance", "/monitoring/gate"):
            self._get(path, path, maybe=True)
        if self.weeks:
            week = self.dice.choice(self.weeks)
            self._get(f"/monitoring/drift/{week}", "/monitoring/drift/{week}")
            self._get(f"/monitoring/drift/{week}/report", "/monitoring/drift/{week}/report", maybe=True)

    @task(1)
    def be_watched(self) -> None:
        for path in ("/healthcheck/", "/healthcheck/ready", "/metrics"):
            self._get(path, path)


class Latencies:
    """Milliseconds of every synchronous forecast: locust itself keeps two digits."""

    def __init__(self) -> None:
        self.sync: list[float] = []

    def note(self, request_type: str, name: str, response_time: float, **_: Any) -> None:
        """A request has ended, well or not."""
        if (request_type, name) == ("POST", "/predict"):
            self.sync.append(response_time)

    def at(self, share: float) -> float:
        """The smallest time within which this share of the requests was answered; infinite where there was none."""
        ordered = sorted(self.sync)
        return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.inf


LATENCIES = Latencies()
events.request.add_listener(LATENCIES.note)


@events.quitting.add_listener
def judge(environment: Any, latencies: Latencies = LATENCIES, **_: Any) -> None:
    """Print the objectives and what was measured; a miss makes the exit code 1."""
    total = environment.stats.total
    available = 1 - total.num_failures / total.num_requests if total.num_requests else 0.0
    p50, p99 = latencies.at(0.5), latencies.at(0.99)
    rows = [
        ("POST /predict p50", f"{p50:.1f} ms", f"<= {P50:.0f} ms", p50 <= P50),
        ("POST /predict p99", f"{p99:.1f} ms", f"<= {P99:.0f} ms", p99 <= P99),
        ("availability", f"{available:.3%}", f">= {AVAILABILITY:.0%}", available >= AVAILABILITY),
    ]
    print(f"\n{total.num_requests} requests, {total.total_rps:.0f} a second")
    for name, measured, objective, met in rows:
        print(f"  {name:<20} {measured:>10}   {objective:<10} {'met' if met else 'MISSED'}")
    kept = all(row[3] for row in rows)
    print("objectives met" if kept else "objectives MISSED")
    environment.process_exit_code = 0 if kept else 1
