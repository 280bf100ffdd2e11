"""No endpoint shows the shadow forecasts of a candidate; only the promotion gate uses them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from features.forecasts import SCHEMA as FORECASTS
from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF, load
from features.io.store import Lake, week_of
from features.matches import SCHEMA, as_known_at
from features.rating_history import compute_ratings
from serving.api.app import create_app
from serving.settings import ServingSettings

pytestmark = pytest.mark.medium

PUBLISHED, SHADOW = "0.4321", "0.5432"
"""Probabilities that occur nowhere else."""

WITHOUT_LAKE = ("celery", "task_status", "model/info", "healthcheck")
"""Parts of paths that report on processes and need a broker."""


def rows(matches: pd.DataFrame, version: int, home: str) -> pd.DataFrame:
    """Forecasts of one week's matches by one version."""
    weekly = matches[matches["kick_off"].map(week_of) == week_of(REPLAY_AS_OF)].reset_index(drop=True)
    early = pd.Timestamp("2026-03-09", tz="UTC")
    through = pd.Timestamp("2025-05-25", tz="UTC")
    made = weekly.assign(home=float(home), draw=0.25, away=0.75 - float(home), predicted_outcome="home")
    made = made.assign(model_version=version, trained_through=through, features_as_of=early)
    return made.assign(published_at=early)[FORECASTS.names]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    home: Path = tmp_path_factory.mktemp("home")
    lake, week = Lake(str(home / "lake")), week_of(REPLAY_AS_OF)
    matches = as_known_at(load(), REPLAY_AS_OF)
    lake.write_table("matches", COMPETITION, matches, SCHEMA)
    lake.write_table("team_states", COMPETITION, compute_ratings(matches).team_states)
    lake.write_table("forecasts", week, rows(matches, 1, PUBLISHED), FORECASTS)
    lake.write_table("shadow_forecasts", week, rows(matches, 987654, SHADOW), FORECASTS)
    app = create_app(ServingSettings(home=home, lake=str(home / "lake")))
    app.state.catalogue.refresh()
    return TestClient(app, raise_server_exceptions=False)


def test_no_endpoint_tells_what_the_candidate_forecasts(client: TestClient) -> None:
    match_id = rows(load(), 1, PUBLISHED)["match_id"].iloc[0]
    values = {"match_id": match_id, "competition": COMPETITION, "week": week_of(REPLAY_AS_OF)}
    paths = client.get("/openapi.json").json()["paths"]
    lake_paths = [
        path for path, methods in paths.items() if "get" in methods and not any(part in path for part in WITHOUT_LAKE)
    ]
    most: dict[str, str | int] = {"order": "desc", "limit": 200}
    pages = {}
    for path in lake_paths:
        documented = {part["name"] for part in paths[path]["get"].get("parameters", ())}
        params = {name: value for name, value in most.items() if name in documented}
        pages[path] = client.get(path.format_map(values), params=params)
    texts = {path: page.text for path, page in pages.items()}
    seen = [path for path, text in texts.items() if PUBLISHED in text]
    assert {"/matches", "/matches/{match_id}", "/predict/{match_id}"} <= set(seen), "published forecasts are shown"
    assert not [path for path, text in texts.items() if SHADOW in text or "987654" in text]
