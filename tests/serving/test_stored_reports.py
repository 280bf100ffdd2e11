"""Reports in the lake of any shape: the API answers with the report or with an explained error, never with a crash."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.forecast_schemas import FORECASTS
from features.io import report_files
from features.io.store import Lake
from features.matches import build_match_id
from monitoring import metrics
from monitoring.exporter import ReportCollector
from serving.api.app import create_app
from serving.api.catalogue.catalogue import Catalogue
from serving.api.openapi.examples import EXAMPLES
from serving.settings import ServingSettings

WEEK, OTHER_WEEK = "2026-03-09", "2026-03-02"
LEAGUE = "eng-premier-league"
MATCH = build_match_id(LEAGUE, "2025-26", "Arsenal", "Everton")
SUMMARY = {name: value for name, value in EXAMPLES["DriftSummary"].items() if name != "week"}
PERFORMANCE = EXAMPLES["Performance"]
DEEP = "[" * 100_000 + "]" * 100_000
ODD_VALUES = (
    *("NaN", "Infinity", "-1e999", "1" + "0" * 400, "9" * 5000, "null", "true", '"text"', '""', "[]", "{}", "[[]]"),
    *('"\\ud800"', '{"\\ud800": 1}', "-5", "0.5", '"9999-99-99"', '["a", 1, null]', DEEP, '{"a": {"b": {"c": []}}}'),
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(str(tmp_path_factory.mktemp("home") / "lake"))


@pytest.fixture(scope="module")
def client(lake: Lake) -> TestClient:
    """A crash of an endpoint is raised here."""
    lake.write_json(report_files.drift_summary_path(OTHER_WEEK), SUMMARY)
    return TestClient(create_app(ServingSettings(home=Path(lake.root).parent, lake=lake.root)))


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values of a document."""
    items = list(document.items()) if isinstance(document, dict) else []
    items += list(enumerate(document)) if isinstance(document, list) else []
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


def with_value(document: dict[str, Any], place: tuple[Any, ...], value: str) -> bytes:
    """The document as JSON with the text of one value replaced."""
    if not place:
        return value.encode()
    changed = copy.deepcopy(document)
    holder: Any = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = "<here>"
    return json.dumps(changed).replace('"<here>"', value).encode()


def is_explained(client: TestClient, path: str, report: str) -> bool:
    """Whether the endpoint answers with a report of finite figures, or with a problem that names the file."""
    answer = client.get(path)
    if answer.status_code == 200:
        json.loads(answer.text, parse_constant=pytest.fail)
        return True
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.text) < 2000
    return answer.status_code == 503 and report in answer.json()["detail"]


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(place=st.sampled_from(places(SUMMARY)), value=st.sampled_from(ODD_VALUES))
@FUZZ
def test_odd_drift_summary_is_explained(client: TestClient, lake: Lake, place: tuple[Any, ...], value: str) -> None:
    """Its own page says what is wrong; the list of weeks still has the other week."""
    path = report_files.drift_summary_path(WEEK)
    lake.write_bytes(path, with_value(SUMMARY, place, value))
    assert is_explained(client, f"/monitoring/drift/{WEEK}", path)
    assert OTHER_WEEK in [item["week"] for item in client.get("/monitoring/drift").json()["items"]]
    exposed = metrics.exposition(metrics.registry(ReportCollector(lake))).decode()
    assert 'touchline_report_readable{report="drift"}' in exposed


@given(place=st.sampled_from(places(PERFORMANCE)), value=st.sampled_from(ODD_VALUES))
@FUZZ
def test_odd_performance_report_is_explained(
    client: TestClient, lake: Lake, place: tuple[Any, ...], value: str
) -> None:
    """The problem names the report and the first field that is wrong."""
    lake.write_bytes(report_files.PERFORMANCE, with_value(PERFORMANCE, place, value))
    assert is_explained(client, "/monitoring/performance", report_files.PERFORMANCE)


@given(missing=st.sampled_from([place for place in places(PERFORMANCE) if place]))
@FUZZ
def test_report_that_lacks_a_field_is_explained(client: TestClient, lake: Lake, missing: tuple[Any, ...]) -> None:
    """An earlier release did not write the field."""
    changed = copy.deepcopy(PERFORMANCE)
    holder: Any = changed
    for key in missing[:-1]:
        holder = holder[key]
    del holder[missing[-1]]
    lake.write_json(report_files.PERFORMANCE, changed)
    assert is_explained(client, "/monitoring/performance", report_files.PERFORMANCE)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"3", b'"x"', b"[[1, 2]]", DEEP.encode()])
def test_report_that_is_no_json_object_is_explained(client: TestClient, lake: Lake, content: bytes) -> None:
    """Neither is taken for an empty report."""
    lake.write_bytes(report_files.PERFORMANCE, content)
    assert client.get("/monitoring/performance").status_code == 503
    assert is_explained(client, "/monitoring/performance", report_files.PERFORMANCE)


def forecast_row(**details: object) -> pd.DataFrame:
    when = pd.Timestamp("2026-03-14T15:00Z")
    teams = {"competition": LEAGUE, "season": "2025-26", "home_team": "Arsenal", "away_team": "Everton"}
    row = {"match_id": MATCH, **teams, "kick_off": when, "home": 0.5, "draw": 0.3, "away": 0.2}
    times = dict.fromkeys(("trained_through", "features_as_of", "published_at"), when - pd.Timedelta(days=2))
    return pd.DataFrame([{**row, "predicted_outcome": "home", "model_version": 1, **times, **details}])


def without_home_matches(row: pd.DataFrame) -> pd.DataFrame:
    return row.drop(columns="home_matches")


DETAILS = {
    **{"scorelines": [{"home": 1, "away": 0, "probability": 0.1}], "shares": [{"rating": "elo", "share": 0.2}]},
    **{"usual_log_odds": 0.3, "expected_home_goals": 1.5, "expected_away_goals": 1.0},
    **{"home_matches": 30, "away_matches": 28},
}


@pytest.mark.parametrize(
    "details",
    [
        {"scorelines": [{"home": 1}]},
        {"scorelines": "text"},
        {"shares": [{"unknown": 1.0}]},
        {"usual_log_odds": "much"},
        {"home_matches": None},
        {"expected_home_goals": "many"},
    ],
)
def test_odd_forecast_details_are_explained(tmp_path: Path, details: dict[str, object]) -> None:
    """The problem names the table and the match."""
    lake = Lake(str(tmp_path / "lake"))
    lake.write_table("forecasts", WEEK, forecast_row(**{**DETAILS, **details}))
    app = create_app(ServingSettings(home=tmp_path, lake=lake.root))
    app.state.catalogue.refresh()
    answer = TestClient(app).get(f"/matches/{MATCH}/insight")
    assert answer.status_code == 503
    assert f"forecasts/week={WEEK}.parquet" in answer.json()["detail"]
    assert MATCH in answer.json()["detail"]


def test_forecast_table_without_detail_columns_is_explained(tmp_path: Path) -> None:
    """A table that lacks a column of the details says which."""
    lake = Lake(str(tmp_path / "lake"))
    lake.write_table("forecasts", WEEK, without_home_matches(forecast_row(**DETAILS)))
    app = create_app(ServingSettings(home=tmp_path, lake=lake.root))
    app.state.catalogue.refresh()
    answer = TestClient(app).get(f"/matches/{MATCH}/insight")
    assert answer.status_code == 503
    assert "home_matches" in answer.json()["detail"]
    assert math.isclose(TestClient(app).get(f"/predict/{MATCH}").json()["probabilities"]["home"], 0.5)


class FailingLake(Lake):
    """A lake of which one file fails in a way that no library documents."""

    failing = ""

    def read_arrow(self, name: str, partition: str, *arguments: Any, **options: Any) -> pa.Table:
        if f"{name}/{partition}" == self.failing:
            raise MemoryError("malloc of size 2 ** 60 failed")
        return super().read_arrow(name, partition, *arguments, **options)

    def partitions(self, name: str) -> list[str]:
        if name == self.failing:
            raise OSError("the folder cannot be listed")
        return super().partitions(name)


@pytest.fixture
def failing_lake(tmp_path: Path) -> FailingLake:
    lake = FailingLake(str(tmp_path / "lake"))
    lake.write_table("forecasts", WEEK, forecast_row(), FORECASTS)
    lake.write_table("forecasts", OTHER_WEEK, forecast_row(), FORECASTS)
    played: dict[str, Any] = {
        "status": "scheduled",
        "matchday": 1,
        "neutral": False,
        "awarded": False,
        "source": "test",
    }
    names = ["match_id", "competition", "season", "kick_off", "home_team", "away_team"]
    matches = forecast_row()[names].assign(**played, kick_off_exact=True)
    lake.write_table("matches", LEAGUE, matches)
    return lake


@pytest.mark.parametrize("failing", [f"forecasts/{OTHER_WEEK}", "forecasts", "team_states", "settled_forecasts"])
def test_one_failing_table_stops_no_other(failing_lake: FailingLake, failing: str) -> None:
    """All else is refreshed; readiness and the metric tell of the table until it can be read again."""
    failing_lake.failing = failing
    catalogue, table = Catalogue(failing_lake), failing.partition("/")[0]
    catalogue.refresh()
    assert list(catalogue.unreadable_tables) == [failing]
    assert len(catalogue.snapshot.matches) == 1
    assert len(catalogue.forecasts) == (0 if failing == "forecasts" else 1 if table == "forecasts" else 2)
    exposed = metrics.exposition(metrics.registry()).decode()
    assert f'touchline_unreadable_tables{{table="{table}"}} 1.0' in exposed
    failing_lake.failing = ""
    catalogue.refresh()
    assert not catalogue.unreadable_tables
    assert len(catalogue.forecasts) == 2
    assert f'touchline_unreadable_tables{{table="{table}"}} 0.0' in metrics.exposition(metrics.registry()).decode()
