"""The small API of these tests answers in the shapes of the real one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from serving.api.schemas import documents, reports

MATCH = "eng-premier-league-2025-26-tottenham-hotspur-crystal-palace"


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/matches?limit=3", documents.MatchPage),
        (f"/matches/{MATCH}", documents.Match),
        (f"/matches/{MATCH}/insight", documents.Insight),
        (f"/matches/{MATCH}/ratings", documents.RatingHistory),
        (f"/predict/{MATCH}", documents.PublishedForecast),
        ("/predict/model/info", documents.ModelInfo),
        ("/teams", documents.Teams),
        ("/competitions", documents.Competitions),
        ("/competitions/eng-premier-league/table", documents.SeasonTable),
        ("/monitoring/drift", reports.DriftWeeks),
        ("/monitoring/performance", reports.Performance),
    ],
)
def test_every_recorded_answer_fits_the_schema_of_the_api(path: str, shape: Any, api: Any) -> None:
    shape.model_validate(httpx.get(f"{api.url}{path}").json())


def test_tasks_and_problems_fit_the_schemas_of_the_api(api: Any) -> None:
    clubs = {"home_team": "Arsenal", "away_team": "Chelsea"}
    accepted = documents.TaskAccepted.model_validate(httpx.post(f"{api.url}/predict/async/", json=clubs).json())
    for _ in range(2):
        documents.TaskStatus.model_validate(httpx.get(f"{api.url}/monitoring/task_status/{accepted.task_id}").json())
    documents.Problem.model_validate(httpx.get(f"{api.url}/matches/nothing").json())
