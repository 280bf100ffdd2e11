"""The load test of record: what users of the API do, mixed. `make load` runs it headless against a running service.

Ends with the service objectives and a verdict; the exit code is 1 if one is missed.
"""

from __future__ import annotations

import random
import time
from typing import Any

from locust import HttpUser, between, events, task

SYNC = ("POST", "/predict")
P50, P99, AVAILABILITY = 50.0, 200.0, 0.99


class Application(HttpUser):
    """A program that asks for forecasts, and a person's viewer beside it."""

    wait_time = between(0.05, 0.15)

    def on_start(self) -> None:
        self.teams = [one["name"] for one in self.client.get("/teams").json()["items"]]
        self.matches = [one["match_id"] for one in self.client.get("/matches?status=scheduled").json()["items"]]
        self.dice = random.Random()

    def _pair(self) -> dict[str, str]:
        home, away = self.dice.sample(self.teams, 2)
        return {"home_team": home, "away_team": away}

    @task(40)
    def predict(self) -> None:
        self.client.post("/predict", json=self._pair())

    @task(20)
    def published(self) -> None:
        if self.matches:
            name = "/predict/{match_id}"
            with self.client.get(
                f"/predict/{self.dice.choice(self.matches)}", name=name, catch_response=True
            ) as answer:
                if answer.status_code in {200, 404}:  # far fixtures are not published yet
                    answer.success()

    @task(10)
    def predict_later(self) -> None:
        accepted = self.client.post("/predict/async/", json=self._pair())
        if accepted.status_code != 202:
            return
        path = f"/monitoring/task_status/{accepted.json()['task_id']}"
        for _ in range(50):
            status = self.client.get(path, name="/monitoring/task_status/{task_id}").json().get("status")
            if status in {"success", "failure"}:
                return
            time.sleep(0.1)

    @task(2)
    def predict_many(self) -> None:
        self.client.post("/predict/batch", json={"matches": [self._pair() for _ in range(100)]})

    @task(10)
    def browse(self) -> None:
        self.client.get("/matches?status=scheduled&limit=20", name="/matches")

    @task(4)
    def look_around(self) -> None:
        for path in ("/competitions", "/predict/model/info", "/monitoring/celery/queues", "/monitoring/drift"):
            self.client.get(path)

    @task(1)
    def be_watched(self) -> None:
        for path in ("/healthcheck/", "/healthcheck/ready", "/metrics"):
            self.client.get(path)


@events.quitting.add_listener
def judge(environment: Any, **_: Any) -> None:
    """Print the objectives and what was measured; a miss makes the exit code 1."""
    sync = environment.stats.get(SYNC[1], SYNC[0])
    total = environment.stats.total
    available = 1 - total.num_failures / total.num_requests if total.num_requests else 0.0
    p50, p99 = (sync.get_response_time_percentile(share) or float("inf") for share in (0.5, 0.99))
    rows = [
        ("POST /predict p50", f"{p50:.0f} ms", f"<= {P50:.0f} ms", p50 <= P50),
        ("POST /predict p99", f"{p99:.0f} ms", f"<= {P99:.0f} ms", p99 <= P99),
        ("availability", f"{available:.2%}", f">= {AVAILABILITY:.0%}", available >= AVAILABILITY),
    ]
    print(f"\n{total.num_requests} requests, {total.total_rps:.0f} a second")
    for name, measured, objective, met in rows:
        print(f"  {name:<20} {measured:>10}   {objective:<10} {'met' if met else 'MISSED'}")
    kept = all(row[3] for row in rows)
    print("objectives met" if kept else "objectives MISSED")
    environment.process_exit_code = 0 if kept else 1
