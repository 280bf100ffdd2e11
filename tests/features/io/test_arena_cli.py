"""`make arena`: the sets of the package and of the user's files, one table as Markdown and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import SourceError
from features.io import arena_cli, benchmark_sets
from features.io.benchmark_sets import challenge, challenge_competition, fivethirtyeight, premier_league
from features.io.sources import bundled
from features.io.sources.cells import BadRowError
from features.splits import season_starts

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in the layout of football-data.co.uk: the bundled league."""
    folder = tmp_path_factory.mktemp("footballdata")
    table = bundled.load()
    for season, rows in table.groupby("season"):
        years = str(season)[2:7].replace("-", "")
        pd.DataFrame(
            {
                "Div": "E0",
                "Date": rows["kick_off"].dt.strftime("%d/%m/%Y"),
                "HomeTeam": rows["home_team"],
                "AwayTeam": rows["away_team"],
                "FTHG": rows["home_goals"].astype(int),
                "FTAG": rows["away_goals"].astype(int),
            }
        ).to_csv(folder / f"E0_{years}.csv", index=False)
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A file in the layout of FiveThirtyEight's archive: two seasons of the league, another league, a bad row."""
    rows = bundled.load()
    rows = rows[rows["season"].isin(["2020-21", "2021-22"])].reset_index(drop=True)
    table = pd.DataFrame(
        {
            "season": rows["season"].str[:4],
            "date": rows["kick_off"].dt.date,
            "league": "Barclays Premier League",
            "team1": rows["home_team"],
            "team2": rows["away_team"],
            "prob1": 0.45,
            "prob2": 0.29,
            "probtie": 0.26,
        }
    )
    table.loc[0, "prob1"] = 0.9
    table.loc[1, "league"] = "Mexican Primera Division Torneo Clausura"
    table.loc[2, "team2"] = "Nowhere Rovers"
    file = tmp_path / "spi_matches.csv"
    table.to_csv(file, index=False)
    return file


@pytest.fixture
def prediction_set(tmp_path: Path) -> Path:
    """Files in the layout of the challenge: seasons of twelve clubs in two leagues, and the matches of April 2023."""
    generator = np.random.default_rng(0)
    training: list[list[Any]] = []
    prediction: list[list[Any]] = []
    for league in ("ENG1", "CHL1"):
        clubs = [f"{league} club {number}" for number in range(12)]
        for start in range(2018, 2023):
            pairs = [(home, away) for home in clubs for away in clubs if home != away]
            days = pd.date_range(f"{start}-08-01", f"{start + 1}-05-01", periods=len(pairs)).floor("D")
            goals = generator.poisson(1.4, (len(pairs), 2))
            for (home, away), day, (ours, theirs) in zip(pairs, days, goals, strict=True):
                season = f"{start % 100}-{start % 100 + 1}"
                row = [season, league, f"{day:%d/%m/%Y}", home, away, ours, theirs]
                (prediction if day >= pd.Timestamp("2023-04-13") else training).append(row)
    folder = tmp_path / "challenge"
    folder.mkdir()
    columns = ["Sea", "Lge", "Date", "HT", "AT", "HS", "AS"]
    pd.DataFrame(training, columns=columns).assign(GD=0, WDL="W").to_csv(folder / "training.csv", index=False)
    prediction[0][1] = "Chile"
    prediction[1][5:] = ["", ""]
    pd.DataFrame(prediction, columns=columns).to_csv(folder / "prediction.csv", index=False)
    return folder


def test_bundled_set_is_frozen() -> None:
    """Another digest means other matches or results: figures of before are no longer comparable."""
    entry = premier_league(None)
    assert entry.notes == ()
    assert int(entry.forecast.sum()) == benchmark_sets.PREMIER_LEAGUE_MATCHES
    assert entry.digest() == "f9313df1cc0948ce"


@pytest.mark.shared
def test_top_five_set_is_frozen(shared_data: Path) -> None:
    entry = benchmark_sets.top_five(shared_data / "footballdata")
    assert entry.notes == ()
    assert entry.digest() == "eebc66a8f638b1bc"


def test_archive_is_matched_with_results(archive: Path, data: Path) -> None:
    """Other leagues do not count; unreadable rows and unknown clubs are counted, the first one with its line."""
    entry = fivethirtyeight(archive, data)
    assert int(entry.forecast.sum()) == 760 - 3
    assert entry.first == 2020
    np.testing.assert_allclose(entry.others["FiveThirtyEight"][entry.forecast], [[0.45, 0.26, 0.29]] * 757)
    assert "757 of 758 forecasts of these leagues, 1 rows unreadable, 1 without a match" in entry.notes[0]
    assert "spi_matches.csv row 4: club 'Nowhere Rovers' is unknown" in entry.notes[0]


def test_archive_of_other_matches_is_refused(archive: Path, data: Path) -> None:
    archive.write_text(archive.read_text().replace("202", "198"))
    with pytest.raises(SourceError, match="none of its matches"):
        fivethirtyeight(archive, data)


def test_prediction_set_of_the_challenge_is_that_of_april_2023(prediction_set: Path) -> None:
    entry = challenge(prediction_set)
    rows = entry.matches[entry.forecast]
    assert rows["kick_off"].min() >= pd.Timestamp("2023-04-13", tz="UTC")
    assert set(rows["season"]) == {"2022-23"}
    assert set(entry.matches["competition"]) == {"eng-premier-league", "chl-tier-1"}
    assert len(entry.matches) == 2 * 5 * 132 - 2, "one row is refused, one has no score"
    assert "prediction.csv row 2: league 'Chile' is not a country and a tier" in entry.notes[0]
    assert "in place of 736: not comparable" in entry.notes[1]
    for file in prediction_set.iterdir():
        file.write_text("Sea,Lge,Date,HT,AT\n22-23,ENG1,14/04/2023,A,B\n")
    with pytest.raises(SourceError, match="has no column HS, AS"):
        challenge(prediction_set)


@pytest.mark.parametrize(("code", "slug"), [("ENG2", "eng-championship"), ("CHL1", "chl-tier-1")])
def test_league_of_the_challenge_has_a_slug(code: str, slug: str) -> None:
    assert challenge_competition(code) == slug
    with pytest.raises(BadRowError, match="not a country and a tier"):
        challenge_competition(code[:3])


def test_command_writes_one_table_as_markdown_and_json(
    archive: Path, data: Path, prediction_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    small = premier_league(None)
    first = season_starts(small.matches["season"]) >= 2025
    monkeypatch.setattr(
        benchmark_sets,
        "premier_league",
        lambda _: benchmark_sets._entry(
            "premier-league", small.title, small.matches, 2025, first, 1900, with_dixon_coles=False
        ),
    )
    options = ["--fivethirtyeight", archive, "--challenge", prediction_set, "--out", tmp_path / "out"]
    assert arena_cli.main([*map(str, options), "--recipes", "dixon_coles,multinomial_logit"]) == 0
    text = (tmp_path / "out" / "arena.md").read_text()
    assert text in capsys.readouterr().out
    document = json.loads((tmp_path / "out" / "arena.json").read_text())
    assert [entry["name"] for entry in document["sets"]] == ["premier-league", "challenge-2023"]
    assert set(document["skipped"]) == {"top-five", "fivethirtyeight"}
    for entry in document["sets"]:
        names = [row["forecaster"] for row in entry["forecasters"]]
        assert names[:3] == ["model, goals", "recipe dixon_coles", "recipe multinomial_logit"]
        assert f"| {entry['name']}" in text
    assert document["sets"][0]["forecasters"][0]["n"] == 380


def test_unknown_recipe_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert arena_cli.main(["--recipes", "dixon_cole", "--out", str(tmp_path)]) == 1
    assert "did you mean dixon_coles?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
