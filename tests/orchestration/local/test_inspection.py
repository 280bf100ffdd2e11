"""`touchline inspect` says beforehand where the pipeline would stop, with file, row and value, and what is possible."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.errors import InvalidInputError
from features.matrix import FeatureGroup
from orchestration.evaluation_settings import EvaluationSettings
from orchestration.local.inspection import inspect

HEADER = "competition,season,kick_off,home_team,away_team,home_goals,away_goals"


def settings(folder: Path, rows: list[str]) -> EvaluationSettings:
    file = folder / "mine.csv"
    file.write_text("\n".join([HEADER, *rows]) + "\n")
    return EvaluationSettings(
        home=folder / "home",
        source="files",
        files=file,
        competitions=("hib-premier",),
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
        first_season=2000,
    )


def season(start: int, clubs: int = 8) -> list[str]:
    """Every club at home against every other, one match a day."""
    pairs = [(home, away) for home in range(clubs) for away in range(clubs) if home != away]
    return [
        f"hib-premier,{start}-{(start + 1) % 100:02d},{start}-{9 + day // 28:02d}-{1 + day % 28:02d},"
        f"Club {home},Club {away},{day % 4},{day % 3}"
        for day, (home, away) in enumerate(pairs)
    ]


def test_sound_rows_stop_nothing_and_the_outlook_is_told(tmp_path: Path) -> None:
    """Settled matches, those that train, and those that judge a first model are counted."""
    rows = [row for start in range(2019, 2023) for row in season(start)]
    report = inspect(settings(tmp_path, rows))
    assert report.unusable == ()
    assert "stops the pipeline" not in report.text
    assert "outlook: 224 settled matches, 0 to come" in report.text
    assert "224 of complete seasons, of which 112 from 2018 on have earlier seasons" in report.text
    assert "a first model can be trained and judged" in report.text


def test_too_few_matches_to_judge_a_first_model_are_told(tmp_path: Path) -> None:
    """It is provisional, learns from the bundled league too, and the missing matches are counted."""
    report = inspect(settings(tmp_path, [row for start in (2020, 2021, 2022) for row in season(start)]))
    assert "it learns from 112 matches and, because these are few, from the bundled league" in report.text
    assert "provisional in production: it is judged by 56 matches, and 44 more of 100 are needed" in report.text


def test_a_first_season_is_possible(tmp_path: Path) -> None:
    report = inspect(settings(tmp_path, ["hib-premier,2025-26,2026-02-01,Club 0,Club 1,,"]))
    assert "provisional in production: it is judged by 0 matches, and 100 more of 100 are needed" in report.text


def test_what_cannot_be_trained_is_told_with_what_is_missing(tmp_path: Path) -> None:
    """Before the bundled data begins, and for inputs that it lacks, there is nothing else to learn from."""
    assert "cannot be trained yet: it needs two complete seasons" in inspect(settings(tmp_path, season(2001))).text
    shots = settings(tmp_path, season(2020)).model_copy(update={"features": FeatureGroup.SHOTS})
    assert "with TOUCHLINE_FEATURES=shots it needs two complete seasons" in inspect(shots).text


def test_a_result_of_31_0_is_a_warning_with_file_and_row(tmp_path: Path) -> None:
    """All other rows go on."""
    rows = season(2020)
    rows[3] = rows[3].rsplit(",", 2)[0] + ",31,0"
    report = inspect(settings(tmp_path, rows))
    assert report.unusable == ()
    (line,) = [line for line in report.text.splitlines() if "at most 20 goals" in line]
    assert line.startswith("  warning: ")
    assert "mine.csv row 5: match_id hib-premier-2020-21-club-0-club-4" in line
    assert line.endswith("home_goals 31")


def test_a_row_that_would_stop_the_pipeline_is_named(tmp_path: Path) -> None:
    """A result of a match that has not been played: file, row and value, and the competition counts as unusable."""
    year = datetime.now(UTC).year + 1
    future = f"hib-premier,{year}-{(year + 1) % 100:02d},{year}-09-01T15:00+00:00,Club 0,Club 1,2,0"
    live = settings(tmp_path, [*season(2020), future]).model_copy(update={"as_of": None})
    report = inspect(live)
    if "rejected: mine.csv row 58" not in report.text:  # a reader may refuse the row by itself
        (line,) = [line for line in report.text.splitlines() if line.startswith("  stops the pipeline: ")]
        assert "results are of matches that have kicked off" in line
        assert "mine.csv row 58" in line
        assert report.unusable == ("hib-premier",)


def test_many_unusual_rows_are_ten_and_a_count(tmp_path: Path) -> None:
    rows = [row.rsplit(",", 2)[0] + ",25,0" if i < 30 else row for i, row in enumerate(season(2020))]
    (line,) = [line for line in inspect(settings(tmp_path, rows)).text.splitlines() if "at most 20 goals" in line]
    assert line.count("mine.csv row") == 10
    assert line.endswith("and 20 more")


def test_fixtures_without_any_result_have_an_outlook(tmp_path: Path) -> None:
    report = inspect(settings(tmp_path, ["hib-premier,2025-26,2026-02-01,Club 0,Club 1,,"]))
    assert "outlook: 0 settled matches, 1 to come" in report.text


def test_rulings_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    rulings = tmp_path / "rulings.csv"
    rulings.write_text("competition,season,club,points,decided\nhib-premier,2020-21,Club 1,minus 3,2020-10-01\n")
    with pytest.raises(InvalidInputError, match=r"rulings\.csv cannot be used; row 2: .*minus 3"):
        inspect(settings(tmp_path, season(2020)).model_copy(update={"rulings": rulings}))
