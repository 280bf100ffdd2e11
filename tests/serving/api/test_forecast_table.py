"""All forecasts with their scores in one file, as pandas, a spreadsheet and DuckDB read it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from features.forecast_schemas import FORECASTS
from features.io.store import Lake, week_of
from features.matches import SCHEMA as MATCHES
from features.matches import conform, with_match_ids
from monitoring.settlement import SCHEMA as SETTLED
from serving.api import forecast_table
from serving.api.app import create_app
from serving.api.openapi.examples import FORECASTS_CSV_EXAMPLE
from serving.settings import ServingSettings

LEAGUE = "atl-island-league"
FIRST = datetime(2026, 2, 2, 15, tzinfo=UTC)
"""Kick-off of the first match; the others follow a week apart."""
CLUBS = ("Südheim", "=HYPERLINK(A1)", "-Nordheim", 'The "Old" One, FC')


def _match(number: int, home: str, away: str) -> dict[str, Any]:
    """A forecast with everything that a settled one has, too."""
    kick_off = FIRST + timedelta(weeks=number)
    row = {
        "match_id": f"{LEAGUE}-2025-26-club{number}-other", "competition": LEAGUE, "season": "2025-26",
        "kick_off": kick_off, "home_team": home, "away_team": away, "home": 0.5, "draw": 0.3, "away": 0.2,
        "predicted_outcome": "home", "model_version": 1, "trained_through": FIRST - timedelta(days=9),
        "features_as_of": FIRST - timedelta(days=8), "published_at": FIRST - timedelta(days=7, microseconds=1),
    }  # fmt: skip
    scores = {"home_goals": 0, "away_goals": 2, "outcome": 2, "rps": 0.445, "log_loss": 1.609, "brier": 0.98}
    return row | scores | {"settled_at": kick_off + timedelta(days=1)}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Four weeks with a match each; the first two are settled, and the third was moved from the first week."""
    lake = Lake(str(tmp_path))
    rows = [_match(number, CLUBS[number], CLUBS[(number + 1) % 4]) for number in range(4)]
    moved = rows[2] | {"kick_off": FIRST, "home": 0.4, "draw": 0.4}
    for number, row in enumerate(rows):
        week = pd.DataFrame([row, moved] if number == 0 else [row])
        lake.write_table("forecasts", week_of(row["kick_off"]), week[FORECASTS.names], FORECASTS)
        if number < 2:
            settled = pd.DataFrame([row]).reindex(columns=SETTLED.names)
            lake.write_table("settled_forecasts", week_of(row["kick_off"]), settled, SETTLED)
    played = pd.DataFrame(rows).assign(status="played", source="test", neutral=False, awarded=False)
    matches = conform(with_match_ids(played.assign(kick_off_exact=True).drop(columns=["match_id"])))
    lake.write_table("matches", LEAGUE, matches, MATCHES)
    return lake


@pytest.fixture
def client(lake: Lake) -> TestClient:
    app = create_app(ServingSettings(lake=lake.root))
    app.state.catalogue.refresh()
    return TestClient(app, raise_server_exceptions=False)


def test_the_example_of_the_document_is_such_a_file() -> None:
    example = pd.read_csv(io.StringIO(FORECASTS_CSV_EXAMPLE))
    assert list(example.columns) == forecast_table.TABLE.names
    assert example.notna().all(axis=None)


def _frame(response: Any) -> pd.DataFrame:
    assert response.status_code == 200, response.text
    kind = response.headers["content-type"].partition(";")[0]
    read = {"text/csv": pd.read_csv, "application/octet-stream": pd.read_parquet}[kind]
    frame: pd.DataFrame = read(io.BytesIO(response.content))
    return frame


@pytest.mark.parametrize("path", ["/forecasts.csv", "/forecasts.parquet", "/forecasts.csv/"])
def test_one_call_has_every_forecast_once_with_its_scores(client: TestClient, path: str) -> None:
    """A match that was moved has the forecast of its new week; one without a result has no scores."""
    frame = _frame(client.get(path))
    assert list(frame.columns) == forecast_table.TABLE.names
    assert list(frame["match_id"]) == [f"{LEAGUE}-2025-26-club{number}-other" for number in range(4)]
    assert list(frame["home"]) == [0.5] * 4
    assert list(frame["outcome"][:2]) == ["away", "away"]
    assert frame.loc[:1, "rps"].tolist() == [0.445, 0.445]
    assert frame.loc[2:, ["home_goals", "outcome", "rps", "log_loss", "brier"]].isna().all(axis=None)
    assert list(pd.to_datetime(frame["kick_off"], utc=True)) == [FIRST + timedelta(weeks=n) for n in range(4)]
    assert client.get(path).headers["content-disposition"].startswith("attachment; filename=")


def test_texts_that_a_spreadsheet_would_compute_are_defused_in_csv_alone(client: TestClient) -> None:
    """Names come from files of others. Numbers and other names stay as they are."""
    csv, parquet = _frame(client.get("/forecasts.csv")), _frame(client.get("/forecasts.parquet"))
    assert list(csv["home_team"]) == [CLUBS[0], f"'{CLUBS[1]}", f"'{CLUBS[2]}", CLUBS[3]]
    assert list(parquet["home_team"]) == list(CLUBS)


def test_the_forecast_that_was_scored_is_shown_for_a_settled_match(client: TestClient, lake: Lake) -> None:
    """Also if the table of forecasts has another one; and a settled match appears once."""
    week = week_of(FIRST)
    table = lake.read_table("forecasts", week)
    lake.write_table("forecasts", week, table.assign(home=0.1, away=0.6), FORECASTS)
    assert list(_frame(client.get("/forecasts.parquet"))["home"]) == [0.5] * 4


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"date_from": "2026-02-09", "date_to": "2026-02-16"}, [1, 2]),
        ({"date_from": "2026-02-10"}, [2, 3]),
        ({"date_to": "2026-02-08"}, [0]),
        ({"competition": LEAGUE, "season": "2025-26"}, [0, 1, 2, 3]),
        ({"date_from": "2030-01-01"}, []),
    ],
)
@pytest.mark.parametrize("path", ["/forecasts.csv", "/forecasts.parquet"])
def test_filters_hold(client: TestClient, path: str, query: dict[str, str], numbers: list[int]) -> None:
    frame = _frame(client.get(path, params=query))
    assert [int(match_id.split("club")[1][0]) for match_id in frame["match_id"]] == numbers
    assert list(frame.columns) == forecast_table.TABLE.names


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"competition": "no-such-league"}, 404),
        ({"season": "1999-00"}, 422),
        ({"date_from": "2026-02-09", "date_to": "2026-02-08"}, 422),
        ({"team": "Südheim"}, 422),
    ],
)
def test_a_filter_that_fits_nothing_is_refused(client: TestClient, query: dict[str, str], status: int) -> None:
    response = client.get("/forecasts.csv", params=query)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("table", ["forecasts", "settled_forecasts"])
def test_a_damaged_week_is_an_error_and_not_a_gap(client: TestClient, lake: Lake, table: str) -> None:
    """The response names it; without that week the others can be had."""
    file = Path(lake.root, table, f"week={week_of(FIRST)}.parquet")
    assert file.exists()
    file.write_bytes(b"PAR1 damaged")
    client.app.state.catalogue.refresh()  # type: ignore[attr-defined]  # an ASGI application of any kind
    response = client.get("/forecasts.csv")
    assert response.status_code == 503
    assert f"{table}/{week_of(FIRST)}" in response.json()["detail"]
    assert len(_frame(client.get("/forecasts.csv", params={"date_from": "2026-02-09"}))) == 3


def test_the_body_comes_in_small_pieces_of_one_week_each(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither memory nor the event loop depends on the number of forecasts."""
    monkeypatch.setattr(forecast_table, "PIECE_BYTES", 100)
    with client.stream("GET", "/forecasts.parquet", headers={"accept-encoding": "identity"}) as response:
        pieces = list(response.iter_raw())
    assert max(map(len, pieces)) <= 100
    assert pq.ParquetFile(io.BytesIO(b"".join(pieces))).num_row_groups == 4


def test_an_empty_lake_has_an_empty_table(tmp_path: Path) -> None:
    client = TestClient(create_app(ServingSettings(lake=str(tmp_path / "empty"))))
    for path in ("/forecasts.csv", "/forecasts.parquet"):
        assert len(_frame(client.get(path))) == 0
