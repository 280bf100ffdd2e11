"""`touchline score`: anybody's forecasts beside ours, on the matches of the lake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.io.sources import bundled
from features.io.store import Lake
from features.matches import OUTCOMES, SCHEMA, as_known_at, decided_on_pitch, outcomes
from features.matrix import GOAL_FEATURES, REFERENCE_FEATURE, feature_frame
from features.metrics import log_loss, rps
from features.models import outcome_model, walk_forward_forecasts
from features.rating_history import compute_ratings
from monitoring.settlement import SCHEMA as SETTLED
from orchestration.evaluation_settings import EvaluationSettings
from orchestration.local.cli import main
from orchestration.local.scoring import score

pytestmark = pytest.mark.medium

SEASONS = ("2023-24", "2024-25")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose lake has the bundled matches with odds, their ratings, and settled forecasts of one season."""
    home = tmp_path_factory.mktemp("home")
    matches = as_known_at(bundled.load(), bundled.REPLAY_AS_OF)
    with_odds = matches["season"] == SEASONS[1]
    for column, odds in zip(("closing_home", "closing_draw", "closing_away"), (2.4, 3.4, 3.1), strict=True):
        matches[column] = matches[column].mask(with_odds, odds)
    history = compute_ratings(matches)
    lake = Lake(str(home / "lake"))
    lake.write_table("matches", "eng-premier-league", matches, SCHEMA)
    lake.write_table("match_features", "eng-premier-league", feature_frame(matches, history.home, history.away))
    walked = ours(matches)
    settled = walked[walked["season"] == SEASONS[0]].rename(columns={f"model_{name}": name for name in OUTCOMES})
    empty: pd.DataFrame = SETTLED.empty_table().to_pandas()
    rows = settled.merge(matches, on=["match_id", "season"]).reindex(columns=empty.columns)
    rows[["model_version", "home_matches", "away_matches"]] = 1
    for name in SETTLED.names:
        if rows[name].isna().all() and not SETTLED.field(name).nullable:
            rows[name] = rows["kick_off"] if "timestamp" in str(SETTLED.field(name).type) else rows["home"]
    rows["predicted_outcome"] = "home"
    lake.write_table("settled_forecasts", "2024-05-13", rows, SETTLED)
    return home


def ours(matches: pd.DataFrame) -> pd.DataFrame:
    """The walk-forward forecasts of our model and the references."""
    played = matches[decided_on_pitch(matches)].reset_index(drop=True)
    history = compute_ratings(played)
    x = feature_frame(played, history.home, history.away)[[*GOAL_FEATURES, REFERENCE_FEATURE]].to_numpy(float)
    return walk_forward_forecasts(played, x, len(GOAL_FEATURES), 2023, lambda: outcome_model(features=GOAL_FEATURES))


@pytest.fixture(scope="module")
def forecasts(home: Path) -> pd.DataFrame:
    """A stranger's forecasts: ours, a little less certain, with the names of another source."""
    matches = bundled.load()
    table = ours(as_known_at(matches, bundled.REPLAY_AS_OF))
    table = table[table["season"].isin(SEASONS)].merge(matches[["match_id", "kick_off", "home_team", "away_team"]])
    p = 0.9 * table[[f"model_{outcome}" for outcome in OUTCOMES]].to_numpy() + 0.1 / 3
    frame = pd.DataFrame(p, columns=list(OUTCOMES)).round(4)
    clubs = table[["home_team", "away_team"]].replace({"Manchester United": "Man Utd", "Newcastle United": "newcastle"})
    return frame.assign(date=table["kick_off"].dt.date, **clubs, made_at=table["kick_off"] - pd.Timedelta(hours=1))


@pytest.fixture
def command(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TOUCHLINE_HOME", str(home))
    return lambda *arguments: main(["score", *map(str, arguments)])


def test_forecasts_are_scored_beside_ours_the_references_and_the_odds(
    home: Path, forecasts: pd.DataFrame, tmp_path: Path
) -> None:
    """The figures are those computed by hand, and every paired difference has its standard error."""
    file = tmp_path / "mine.csv"
    forecasts.to_csv(file, index=False)
    scoring = score(EvaluationSettings(home=home), str(file))
    assert (scoring.rows, scoring.scored, len(scoring.refused), scoring.without_result) == (760, 760, 0, 0)
    table, matches = scoring.table.set_index("forecaster"), bundled.load()
    played = matches[matches["season"].isin(SEASONS)]
    p, y = forecasts[list(OUTCOMES)].to_numpy(), outcomes(played)
    p = p / p.sum(axis=1, keepdims=True)
    assert table.loc["these forecasts", "rps"] == pytest.approx(rps(p, y).mean())
    assert table.loc["these forecasts", "log_loss"] == pytest.approx(log_loss(p, y).mean())
    assert table["n"].to_dict() == {
        "these forecasts": 760,
        "Touchline, published": 380,
        "Touchline, walk-forward": 760,
        "plain Elo (K=20)": 760,
        "base rate": 760,
        "closing odds": 380,
    }
    walked = ours(matches).merge(played[["match_id"]])[[f"model_{outcome}" for outcome in OUTCOMES]].to_numpy()
    difference = rps(p, y) - rps(walked, y)
    rows = table.to_dict("index")
    row = rows["Touchline, walk-forward"]
    assert row["difference"] == pytest.approx(difference.mean(), abs=1e-9)
    assert row["difference_se"] == pytest.approx(difference.std(ddof=1) / np.sqrt(760), rel=1e-6)
    assert rows["base rate"]["difference"] < -3 * rows["base rate"]["difference_se"]
    assert 0 < scoring.calibration["error"] < 0.1


def test_command_prints_the_table_and_every_refused_row(
    command: Any, forecasts: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = forecasts.head(40).copy()
    rows.loc[3, "home"] = 0.99
    rows.loc[5, "made_at"] = rows["made_at"][5] + pd.Timedelta(days=1)
    rows.loc[7, "home_team"] = "Nowhere Rovers"
    file = tmp_path / "mine.parquet"
    pd.concat([rows, rows.tail(1)]).astype({"date": "str"}).to_parquet(file)
    assert command(file) == 0
    text = capsys.readouterr().out
    assert text.startswith("mine.parquet: 41 rows, 37 scored, 4 refused, 0 of matches without a result\n")
    assert "| Touchline, walk-forward |" in text
    for refused in ("row 5: the probabilities", "row 7: the forecast was made", "row 9: club 'Nowhere", "row 42: eng-"):
        assert f"refused: mine.parquet {refused}" in text
    assert command(file, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [refusal["row"] for refusal in document["refused"]] == [5, 7, 9, 42]
    assert document["forecasters"][0]["difference"] is None
    assert document["has_times"]


def test_forecasts_are_fetched_from_an_address(
    command: Any, forecasts: pd.DataFrame, site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    site.files["/mine.csv"] = forecasts.drop(columns="made_at").head(50).to_csv(index=False).encode()
    site.failures = 1
    assert command(f"{site.url}/mine.csv") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("mine.csv: 50 rows, 50 scored")
    assert "whether the forecasts precede their matches is not known" in captured.out
    assert f"fetching {site.url}/mine.csv" in captured.err
    assert command(f"{site.url}/other.csv") == 1
    assert "cannot be fetched: the server answered 404" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("gone.csv", None, "cannot be read"),
        ("ftp://127.0.0.1/mine.csv", None, "neither a file nor an http(s) address"),
        ("mine.csv", "date,home_team,away_team\n", "no column of probabilities home, draw, away"),
        ("mine.csv", "date,ht,at,home,draw,away\n2024-01-01,X,Y,1,0,0\n", "no forecast of a played match in 1 rows"),
        ("mine.csv", "match_id,home,draw,away\neng-premier-league-2025-26-arsenal-everton,1,0,0\n", "no forecast of a"),
    ],
)
def test_file_that_cannot_be_scored_is_one_sentence(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, expected: str
) -> None:
    """The last one forecasts a match that is to come at the clock of the replay."""
    if content is not None:
        (tmp_path / name).write_text(content)
    assert command(name if "://" in name else tmp_path / name) == 1
    assert expected in capsys.readouterr().out
