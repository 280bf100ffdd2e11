"""Files of forecasts: columns by any usual name, and bad rows refused with their line."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from features.errors import SourceError
from features.io.forecast_file import probabilities, read_forecasts
from features.io.sources.cells import BadRowError


def reasons(text: str) -> dict[int, str]:
    return {refusal.row: refusal.reason for refusal in read_forecasts("f.csv", text.encode()).refused}


@pytest.mark.parametrize(
    "header",
    [
        "date,home_team,away_team,home,draw,away",
        "Date,HomeTeam,AwayTeam,p_home,p_draw,p_away",
        "date,home,away,prob_home,prob_draw,prob_away",
        "date,team1,team2,prob1,probtie,prob2",
        "Date,HT,AT,prd_W,prd_D,prd_L",
    ],
)
def test_columns_are_found_by_their_usual_names(header: str) -> None:
    """Those of the platform, of spreadsheets, of FiveThirtyEight's archive and of the Soccer Prediction Challenge."""
    (row,) = read_forecasts("f.csv", f"{header}\n2025-08-16,Leeds,Hull,0.5,0.3,0.2\n".encode()).rows
    assert (row.home_team, row.away_team, row.day, row.row) == ("Leeds", "Hull", date(2025, 8, 16), 2)
    assert row.probabilities == pytest.approx((0.5, 0.3, 0.2))


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("date,home_team,away_team,home,away", "probabilities draw"),
        ("date,home,draw,away", "home_team and away_team, nor match_id"),
    ],
)
def test_file_without_a_column_that_is_needed_is_refused(header: str, missing: str) -> None:
    with pytest.raises(SourceError, match=missing):
        read_forecasts("f.csv", f"{header}\n".encode())


def test_parquet_and_compressed_files_are_read() -> None:
    table = pd.DataFrame({"match_id": ["a", "b"], "home": [0.5, 1 / 3], "draw": [0.25, 1 / 3], "away": [0.25, 1 / 3]})
    table["published_at"] = pd.Timestamp("2025-08-15 12:00", tz="UTC")
    stream = io.BytesIO()
    table.astype({"home": np.float32}).to_parquet(stream)
    read = read_forecasts("f.parquet", stream.getvalue())
    assert read.refused == []
    assert [row.match_id for row in read.rows] == ["a", "b"]
    assert read.rows[0].made_at == datetime(2025, 8, 15, 12, tzinfo=UTC)
    assert sum(read.rows[1].probabilities) == pytest.approx(1, abs=1e-12)
    again = read_forecasts("f.csv.gz", gzip.compress(table.to_csv(index=False).encode()))
    rounded, exact = ([row.probabilities for row in file.rows] for file in (again, read))
    np.testing.assert_allclose(rounded, exact, rtol=1e-6)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("0.33", "0.33", "0.33"), (1 / 3, 1 / 3, 1 / 3)),
        (("0,5", "0,25", "0,25"), (0.5, 0.25, 0.25)),
        (("1", "0", "0"), (1, 0, 0)),
        ((".5", "5e-1", "0"), (0.5, 0.5, 0)),
    ],
)
def test_rounded_probabilities_are_accepted(cells: tuple[str, ...], expected: tuple[float, ...]) -> None:
    assert probabilities(cells) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (("0.5", "0.3", "0.3"), r"sum to 1\.1, not to 1"),
        (("0.34", "0.34", "0.34"), r"sum to 1\.02, not to 1"),
        (("0.3333", "0.3333", "0.33"), r"sum to 0\.9966"),
        (("0.33333333333333331", "0.33333333333333331", "0.334"), "not to 1"),
        (("45", "30", "25"), "sum to 100: write shares"),
        (("-0.1", "0.6", "0.5"), "home '-0.1' is not a number from 0 to 1"),
        (("0.5", "", "0.5"), "draw '' is not a number"),
        (("0.5", "nan", "0.5"), "draw 'nan' is not a number"),
        (("0.5", "inf", "0.5"), "draw 'inf' is not a number"),
    ],
)
def test_what_is_no_distribution_is_refused(cells: tuple[str, ...], reason: str) -> None:
    with pytest.raises(BadRowError, match=reason):
        probabilities(cells)


def test_each_bad_row_is_refused_with_its_line_and_the_others_are_read() -> None:
    text = """date,home_team,away_team,home,draw,away,made_at
2025-08-16,Leeds,Hull,0.5,0.3,0.2,2025-08-15T12:00Z
2025-08-16,Leeds,Hull,0.5,0.3,0.3,2025-08-15T12:00Z
someday,Leeds,Hull,0.5,0.3,0.2,2025-08-15T12:00Z
2025-08-16,Leeds,Hull,0.5,0.3,0.2,2025-08-15 12:00
2025-08-16,Leeds,Hull,0.5,0.3,0.2,
2025-08-16,Leeds,Hull,0.5,0.3,0.2,2025-08-15,surplus
2025-08-16,Leeds,Hull,0.5,0.3,0.2,2025-08-15
"""
    assert {row: reason[:30] for row, reason in reasons(text).items()} == {
        3: "the probabilities 0.5, 0.3, 0.",
        4: "date 'someday' is not in a kno",
        5: "the time of the forecast '2025",
        6: "the time of the forecast is em",
        7: "8 cells in a table of 7 column",
    }
    read = read_forecasts("f.csv", text.encode())
    assert [(row.row, row.made_at) for row in read.rows] == [
        (2, datetime(2025, 8, 15, 12, tzinfo=UTC)),
        (8, date(2025, 8, 15)),
    ]
    assert read.has_times


def test_order_of_day_and_month_follows_from_the_whole_file() -> None:
    text = "date,ht,at,home,draw,away\n08/09/2025,A,B,1,0,0\n08/31/2025,A,B,1,0,0\n"
    assert [row.day for row in read_forecasts("f.csv", text.encode()).rows] == [date(2025, 8, 9), date(2025, 8, 31)]
