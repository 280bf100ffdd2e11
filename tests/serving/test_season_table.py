"""The simulated final table, as callers see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from features.io.sources.bundled import REPLAY_AS_OF, load
from features.io.store import Lake
from features.matches import SCHEMA, Status, as_known_at
from features.season_simulation import simulate
from serving.api.app import create_app
from serving.api.schemas.season import SeasonTable
from serving.settings import ServingSettings

LEAGUE = "ger-2-bundesliga"
MADE_FROM: dict[str, Any] = {
    "season": "2025-26",
    "model_version": 3,
    "features_as_of": pd.Timestamp("2026-03-05 20:00", tz="UTC"),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    home: Path = tmp_path_factory.mktemp("home")
    lake = Lake(str(home / "lake"))
    table = as_known_at(load(), REPLAY_AS_OF).assign(competition=LEAGUE)
    season = table[table["season"] == "2025-26"].reset_index(drop=True)
    ahead = season.loc[season["status"] != Status.PLAYED, ["match_id"]].assign(home=0.45, draw=0.27, away=0.28)
    final = simulate(season, ahead, np.tile(np.log([1.5, 1.2]), (len(ahead), 1)), runs=300).assign(complete=True)
    lake.write_table("matches", LEAGUE, season, SCHEMA)
    lake.write_table("season_forecast", LEAGUE, final.assign(**MADE_FROM))
    app = create_app(ServingSettings(home=home, lake=str(home / "lake")))
    app.state.catalogue.refresh()
    return TestClient(app)


def test_chances_are_those_of_the_places_that_the_competition_has(client: TestClient) -> None:
    table = client.get(f"/competitions/{LEAGUE}/table").json()
    assert (table["complete"], table["places_known"]) == (True, True)
    spans = {place["name"]: (place["first"], place["last"]) for place in table["places"]}
    assert spans == {
        "Title": (1, 1),
        "Promotion": (1, 2),
        "Promotion play-off": (3, 3),
        "Relegation play-off": (18, 18),
        "Relegation": (19, 20),
    }
    for row in table["items"]:
        expected = [sum(row["positions"][first - 1 : last]) for first, last in spans.values()]
        assert row["chances"] == pytest.approx(expected, abs=1e-12)
        assert row["chances"][0] == pytest.approx(row["p_title"])
        assert row["chances"][-1] == pytest.approx(row["p_relegation"])
    totals = np.sum([row["chances"] for row in table["items"]], axis=0)
    np.testing.assert_allclose(totals, [last - first + 1 for first, last in spans.values()])


def test_the_table_tells_its_season_its_model_and_what_that_knew(client: TestClient) -> None:
    table = client.get(f"/competitions/{LEAGUE}/table").json()
    assert {name: table[name] for name in MADE_FROM} == {
        "season": "2025-26",
        "model_version": 3,
        "features_as_of": "2026-03-05T20:00:00Z",
    }
    assert SeasonTable.model_validate(table).features_as_of == MADE_FROM["features_as_of"]


def test_zones_and_caveats_are_those_that_the_table_was_made_with(tmp_path: Path) -> None:
    """A competition with a format of its own has its zones and caveats in the published table, in its order."""
    clubs = ["Reef", "Lagoon", "Atoll"]
    final = pd.DataFrame({"team": clubs, "played": 4, "points": [5, 6, 1], "expected_points": [5.0, 6.0, 1.0]})
    final = final.assign(p_title=[1.0, 0.0, 0.0], p_top_four=1.0, p_relegation=[0.0, 0.0, 1.0])
    final[["position_1", "position_2", "position_3"]] = np.eye(3)
    zone = {"name": "Relegation", "kind": "relegation", "first": -1, "last": -1}
    home = Lake(str(tmp_path / "lake"))
    matches = load().head(380).assign(competition="atl-island-league")
    home.write_table("matches", "atl-island-league", matches, SCHEMA)
    made_with: dict[str, Any] = {
        "complete": True,
        "places_known": True,
        "places": json.dumps([zone]),
        "caveats": json.dumps(["Why."]),
    }
    home.write_table("season_forecast", "atl-island-league", final.assign(**MADE_FROM, **made_with))
    app = create_app(ServingSettings(home=tmp_path, lake=str(tmp_path / "lake")))
    app.state.catalogue.refresh()
    table = TestClient(app).get("/competitions/atl-island-league/table").json()
    assert [row["team"] for row in table["items"]] == clubs
    assert table["places"] == [zone | {"first": 3, "last": 3}]
    assert (table["places_known"], table["caveats"]) == (True, ["Why."])
    assert [row["chances"] for row in table["items"]] == [[0], [0], [1]]


def test_a_table_that_is_not_published_is_404(client: TestClient) -> None:
    assert client.get("/competitions/eng-premier-league/table").status_code == 404
