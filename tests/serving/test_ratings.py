"""The rating history of both clubs of a match."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF, load
from features.io.store import Lake
from features.matches import SCHEMA, as_known_at
from features.matrix import feature_frame
from features.rating_history import compute_ratings
from serving.api.app import create_app
from serving.settings import ServingSettings

MATCH = "eng-premier-league-2025-26-arsenal-everton"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    home: Path = tmp_path_factory.mktemp("home")
    lake = Lake(str(home / "lake"))
    matches = as_known_at(load(), REPLAY_AS_OF)
    states = compute_ratings(matches)
    lake.write_table("matches", COMPETITION, matches, SCHEMA)
    lake.write_table("match_features", COMPETITION, feature_frame(matches, states.home, states.away))
    app = create_app(ServingSettings(home=home, lake=str(home / "lake")))
    app.state.catalogue.refresh()
    return TestClient(app)


def test_both_clubs_have_a_rating_before_each_earlier_match(client: TestClient) -> None:
    items = client.get(f"/matches/{MATCH}/ratings").json()["items"]
    assert {row["team"] for row in items} == {"Arsenal", "Everton"}
    assert [row["match_id"] for row in items[-2:]] == [MATCH, MATCH]
    assert [row["kick_off"] for row in items] == sorted(row["kick_off"] for row in items)
    arsenal = [row["elo"] for row in items if row["team"] == "Arsenal"]
    assert len(arsenal) > 60
    assert all(1200 < elo < 2100 for elo in arsenal)


def test_an_unknown_match_has_no_history(client: TestClient) -> None:
    answer = client.get("/matches/eng-premier-league-2025-26-arsenal-nobody/ratings")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
