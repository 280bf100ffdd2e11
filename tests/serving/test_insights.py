"""The insight into a published forecast, as callers see it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from features.forecasts import PUBLISHED, SCHEMA, forecast
from features.io.registry import LoadedModel, ModelVersion
from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF, load
from features.io.store import Lake, week_of
from features.matches import OUTCOMES, as_known_at, outcomes, with_match_ids
from features.matches import SCHEMA as MATCHES
from features.matrix import FEATURES, GOAL_FEATURES, log_rates, model_input
from features.models import outcome_model
from features.rating_history import STATE_COLUMNS, RatingHistory, compute_ratings
from features.scorelines import outcome_probabilities, scorelines
from serving.api.app import create_app
from serving.settings import ServingSettings

MATCH = "eng-premier-league-2025-26-arsenal-everton"
NEW = "eng-premier-league-2025-26-arsenal-barnton"
OLD = "eng-premier-league-2025-26-chelsea-newcastle-united"


@pytest.fixture(scope="module")
def matches() -> pd.DataFrame:
    """Matches as known in March 2026, and a fixture of a club that has played no match."""
    table = as_known_at(load(), REPLAY_AS_OF)
    row = table[table["match_id"] == MATCH].assign(away_team="Barnton")
    return with_match_ids(pd.concat([table, row], ignore_index=True))[table.columns]


@pytest.fixture(scope="module")
def rating_history(matches: pd.DataFrame) -> RatingHistory:
    return compute_ratings(matches)


@pytest.fixture(scope="module")
def published(matches: pd.DataFrame, rating_history: RatingHistory) -> pd.DataFrame:
    """The week's forecasts, by a model that was trained on earlier seasons."""
    x = model_input(rating_history.home, rating_history.away, matches["neutral"].to_numpy(bool))
    learn = (matches["season"] < "2025-26").to_numpy()
    columns = [FEATURES.index(name) for name in GOAL_FEATURES]
    estimator = outcome_model(features=GOAL_FEATURES).fit(x[learn][:, columns], outcomes(matches[learn]))
    through = matches.loc[learn, "kick_off"].max()
    version = ModelVersion(1, "run", REPLAY_AS_OF, {"trained_through": through.isoformat()})
    week = matches["kick_off"].between(REPLAY_AS_OF, REPLAY_AS_OF + timedelta(days=2))
    model = LoadedModel(version, estimator, GOAL_FEATURES)
    return forecast(model, matches[week], rating_history.team_states, 1, through, REPLAY_AS_OF)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, matches: pd.DataFrame, published: pd.DataFrame) -> TestClient:
    home: Path = tmp_path_factory.mktemp("home")
    lake = Lake(str(home / "lake"))
    lake.write_table("matches", COMPETITION, matches, MATCHES)
    before = published[published["match_id"] == OLD].reindex(columns=SCHEMA.names).reindex(columns=PUBLISHED.names)
    rows = pd.concat([published[published["match_id"] != OLD], before], ignore_index=True)
    lake.write_table("forecasts", week_of(REPLAY_AS_OF), rows, PUBLISHED)
    app = create_app(ServingSettings(home=home, lake=str(home / "lake")))
    app.state.catalogue.refresh()
    return TestClient(app)


def test_the_explanation_sums_to_the_published_log_odds(client: TestClient) -> None:
    insight = client.get(f"/matches/{MATCH}/insight").json()
    published = client.get(f"/predict/{MATCH}").json()["probabilities"]
    assert insight["probabilities"] == published
    explanation = insight["explanation"]
    contributions = explanation["contributions"]
    moved = explanation["baseline_log_odds"] + sum(contribution["share"] for contribution in contributions)
    assert moved == pytest.approx(np.log(published["home"] / published["away"]), abs=1e-9)
    assert [contribution["rating"] for contribution in contributions] == ["elo", "pi", "goals"]
    assert all(contribution["share"] > 0 for contribution in contributions), "each rates Arsenal above Everton"


def test_the_odds_that_went_into_a_forecast_are_told(
    client: TestClient, published: pd.DataFrame, tmp_path: Path
) -> None:
    assert client.get(f"/matches/{MATCH}/insight").json()["odds"] is None
    priced = published.assign(odds_home=1.8, odds_draw=3.7, odds_away=4.6, odds_known_at=pd.Timestamp(REPLAY_AS_OF))
    lake = Lake(str(tmp_path / "lake"))
    lake.write_table("forecasts", week_of(REPLAY_AS_OF), priced, PUBLISHED)
    app = create_app(ServingSettings(home=tmp_path, lake=lake.root))
    app.state.catalogue.refresh()
    odds = TestClient(app).get(f"/matches/{MATCH}/insight").json()["odds"]
    assert odds == {"home": 1.8, "draw": 3.7, "away": 4.6, "known_at": "2026-03-13T12:00:00Z"}


def test_scores_agree_with_the_published_probabilities(
    client: TestClient, rating_history: RatingHistory, published: pd.DataFrame
) -> None:
    """So do the expected goals."""
    insight = client.get(f"/matches/{MATCH}/insight").json()
    states = rating_history.team_states.set_index("team")[list(STATE_COLUMNS)]
    arsenal, everton = (states.loc[[club]].to_numpy(float) for club in ("Arsenal", "Everton"))
    p = np.array([[insight["probabilities"][outcome] for outcome in OUTCOMES]])
    whole = scorelines(p, np.column_stack(log_rates(arsenal, everton, np.ones(1))))
    np.testing.assert_allclose(outcome_probabilities(whole.grid), p, rtol=0, atol=1e-9)
    assert len(insight["scorelines"]) == 5
    for listed, (home, away, chance) in zip(insight["scorelines"], whole.most_likely(0), strict=True):
        assert (listed["home"], listed["away"]) == (home, away)
        assert listed["probability"] == pytest.approx(chance, abs=1e-9)
    expected = [insight["expected_goals"]["home"], insight["expected_goals"]["away"]]
    np.testing.assert_allclose(expected, whole.expected_goals[0], rtol=0, atol=1e-9)
    assert expected[0] > expected[1]


def test_a_club_without_history_is_told(client: TestClient) -> None:
    usual, new = (client.get(f"/matches/{match_id}/insight").json() for match_id in (MATCH, NEW))
    assert (usual["sparse_history_clubs"], new["sparse_history_clubs"]) == ([], ["Barnton"])
    assert new["matches_rated"]["away"] == 0
    assert new["matches_rated"]["home"] == usual["matches_rated"]["home"] > 400


def test_a_forecast_of_an_older_version_has_nothing_behind_it(client: TestClient) -> None:
    assert client.get(f"/predict/{OLD}").status_code == 200
    answer = client.get(f"/matches/{OLD}/insight")
    assert answer.status_code == 404
    assert "published without" in answer.json()["detail"]


def test_a_match_without_forecast_or_name_is_told_apart(client: TestClient) -> None:
    assert client.get("/matches/eng-premier-league-2025-26-arsenal-chelsea/insight").status_code == 404
    assert client.get("/matches/nothing/insight").status_code == 422


def test_the_openapi_document_describes_it(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    answers = document["paths"]["/matches/{match_id}/insight"]["get"]["responses"]
    assert answers["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Insight"}
    assert {"401", "404", "422", "503"} <= answers.keys()
    described = document["components"]["schemas"]["Insight"]["properties"]
    assert {"expected_goals", "scorelines", "explanation", "matches_rated", "sparse_history_clubs"} <= described.keys()
