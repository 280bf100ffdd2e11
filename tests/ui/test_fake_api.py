"""The fake API responds with documents that fit the schemas of the real one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from serving.api.schemas import forecasts, insights, matches, operations, problems, reports, season
from tests.support.fake_api import FakeApi

MATCH = "eng-premier-league-2025-26-tottenham-hotspur-crystal-palace"


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/matches?limit=3", matches.MatchPage),
        (f"/matches/{MATCH}", matches.Match),
        (f"/matches/{MATCH}/insight", insights.Insight),
        (f"/matches/{MATCH}/ratings", insights.RatingHistory),
        (f"/predict/{MATCH}", forecasts.PublishedForecast),
        ("/predict/model/info", operations.ModelInfo),
        ("/teams", matches.Teams),
        ("/competitions", matches.Competitions),
        ("/competitions/eng-premier-league/table", season.SeasonTable),
        ("/monitoring/drift", reports.DriftWeeks),
        ("/monitoring/performance", reports.Performance),
        ("/monitoring/gate", reports.PromotionGate),
    ],
)
def test_documents_fit_the_schemas_of_the_api(path: str, schema: Any, api: FakeApi) -> None:
    schema.model_validate(httpx.get(f"{api.url}{path}").json())


def test_tasks_and_problems_fit_the_schemas_of_the_api(api: FakeApi) -> None:
    clubs = {"home_team": "Arsenal", "away_team": "Chelsea"}
    accepted = forecasts.TaskAccepted.model_validate(httpx.post(f"{api.url}/predict/async/", json=clubs).json())
    for _ in range(2):
        forecasts.TaskStatus.model_validate(httpx.get(f"{api.url}/monitoring/task_status/{accepted.task_id}").json())
    problems.Problem.model_validate(httpx.get(f"{api.url}/matches/nothing").json())
