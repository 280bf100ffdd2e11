"""A real lake and a real registry, made quickly from the bundled season, and API and workers as processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from features.forecasts import SCHEMA as FORECASTS
from features.forecasts import forecast
from features.io.registry import PRODUCTION, LoadedModel, Registry, TrainingRun
from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF, load
from features.io.store import Lake, week_of
from features.matches import OUTCOMES, SCHEMA, as_known_at, outcomes
from features.matrix import RATING_FEATURES, model_input
from features.metrics import brier, log_loss, rps
from features.models import outcome_model
from features.rating_history import STATES, compute_ratings
from tests.support.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
SEASON = "2025-26"
COLUMN_OF_TABLE = {"forecasts": "home", "settled_forecasts": "rps", "matches": "kick_off", "team_states": "elo"}
"""For each table, a column that its readers need."""


@dataclass(frozen=True)
class World:
    """The locations of a lake and a registry."""

    lake_root: Path
    tracking_uri: str

    @property
    def lake(self) -> Lake:
        return Lake(str(self.lake_root))

    @property
    def registry(self) -> Registry:
        return Registry(self.tracking_uri)

    def copy_to(self, folder: Path) -> World:
        """Copy lake and registry; artefacts of models are shared, and no test changes them."""
        shutil.copytree(self.lake_root, folder / "lake")
        shutil.copy(self.tracking_uri.removeprefix("sqlite:///"), folder / "mlflow.db")
        return World(folder / "lake", f"sqlite:///{folder}/mlflow.db")


def train(registry: Registry, matches: pd.DataFrame, regularisation: float = 0.01) -> int:
    """Register a version trained on all seasons before the last, and return its number."""
    ratings = compute_ratings(matches)
    before = (matches["season"] < SEASON).to_numpy() & (matches["season"] > "2014-15").to_numpy()
    x = model_input(ratings.home, ratings.away, matches["neutral"].to_numpy(bool))[:, : len(RATING_FEATURES)]
    estimator = outcome_model(regularisation).fit(x[before], outcomes(matches[before]))
    example = pd.DataFrame(x[before][:2], columns=list(RATING_FEATURES))
    through = matches.loc[before, "kick_off"].max().isoformat()
    version = registry.register(
        TrainingRun(estimator, example, example, "bundled", {"C": regularisation}, {}, {"trained_through": through})
    )
    return version.version


def publish(world: World, as_of: datetime = REPLAY_AS_OF, weeks: int = 6) -> None:
    """Write what the pipeline would have written by `as_of`, with the last weeks settled."""
    everything = load()
    matches = as_known_at(everything, as_of)
    lake, model = world.lake, _production(world)
    lake.write_table("matches", COMPETITION, matches, SCHEMA)
    lake.write_table("team_states", COMPETITION, compute_ratings(matches).team_states, STATES)
    for offset in range(-weeks, 4):
        monday = datetime.fromisoformat(week_of(as_of + timedelta(weeks=offset))).replace(tzinfo=UTC)
        published_at = min(as_of, monday)
        then = as_known_at(everything, published_at)
        inside = then["kick_off"].between(monday, monday + timedelta(days=7), inclusive="left")
        fixtures = then[inside & (then["status"] == "scheduled")]
        through = model.version.trained_through
        made = forecast(
            model, fixtures, compute_ratings(then).team_states, model.version.version, through, published_at
        )
        lake.write_table("forecasts", week_of(monday), made, FORECASTS)
        settle(lake, week_of(monday), made, matches)


def settle(lake: Lake, week: str, made: pd.DataFrame, matches: pd.DataFrame) -> None:
    """Score the forecasts of a week whose matches are over."""
    played = matches[matches["status"] == "played"][["match_id", "home_goals", "away_goals"]]
    over = made.merge(played, on="match_id")
    if over.empty:
        return
    y = outcomes(over)
    p = over[list(OUTCOMES)].to_numpy()
    over = over.assign(outcome=y, rps=rps(p, y), log_loss=log_loss(p, y), brier=brier(p, y))
    lake.write_table("settled_forecasts", week, over)


def _production(world: World) -> LoadedModel:
    version = world.registry.by_alias(PRODUCTION)
    assert version is not None
    return world.registry.load(version)


def build(root: Path, tracking_uri: str = "") -> World:
    """A lake and a registry (the given one, or a database) with two versions, the first in production."""
    import mlflow

    world = World(root / "lake", tracking_uri or f"sqlite:///{root}/mlflow.db")
    if not tracking_uri:
        mlflow.set_tracking_uri(world.tracking_uri)
        mlflow.create_experiment("match-outcome", artifact_location=f"file://{root}/artifacts")
    matches = load()
    for regularisation in (0.01, 0.02):
        train(world.registry, matches, regularisation)
    world.registry.set_alias(PRODUCTION, 1)
    publish(world)
    return world


STARTING_SECONDS = 180.0
"""How long a process may take to start; on an idle machine an API takes two seconds and a worker four."""


def wait_until(condition: Callable[[], Any], seconds: float = 60.0, pause: float = 0.05) -> Any:
    """Wait for a condition and return its first true value; fail if there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            value = condition()
        except (httpx.HTTPError, OSError):
            value = None
        if value:
            return value
        time.sleep(pause)
    raise AssertionError(f"not within {seconds} s")


_started: list[subprocess.Popen[bytes]] = []


def kill_leftovers() -> None:
    """Kill processes of services that nobody stopped: a fixture failed half-way, or the run was interrupted."""
    for process in _started:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class Service:
    """API and workers as processes of their own, against given brokers."""

    world: World
    broker_url: str
    results_url: str
    folder: Path
    extra: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "TOUCHLINE_HOME": str(self.folder),
            "TOUCHLINE_LAKE": str(self.world.lake_root),
            "TOUCHLINE_MLFLOW_TRACKING_URI": self.world.tracking_uri,
            "TOUCHLINE_BROKER_URL": self.broker_url,
            "TOUCHLINE_RESULT_BACKEND_URL": self.results_url,
            "TOUCHLINE_API_PORT": str(self.port),
            "TOUCHLINE_CATALOGUE_REFRESH_SECONDS": "0.5",
            "TOUCHLINE_MODEL_POLL_SECONDS": "0.5",
            **self.extra,
        }

    def start(self, name: str, module: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", module],
            env=self.environment,
            cwd=REPOSITORY,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        _started.append(self.processes[name])
        return self.processes[name]

    def start_api(self, name: str = "api") -> None:
        self.start(name, "serving.api")
        wait_until(lambda: httpx.get(f"{self.url}/healthcheck/").status_code == 200, STARTING_SECONDS)

    def start_worker(self, name: str = "worker", module: str = "serving.worker") -> subprocess.Popen[bytes]:
        return self.start(name, module)

    def wait_ready(self, seconds: float = STARTING_SECONDS) -> None:
        wait_until(lambda: httpx.get(f"{self.url}/healthcheck/ready").status_code == 200, seconds)

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
