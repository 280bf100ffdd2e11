"""The examples of EXAMPLES.md, from the file to its match and the report."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.io.settings import Settings
from features.io.sources import load
from features.io.sources.inspection import inspect_source

PAGE = Path("features/io/sources/EXAMPLES.md")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _examples(repository: Path) -> list[list[str]]:
    sections = (repository / PAGE).read_text().split("\n## ")[1:]
    return [re.findall(r"^    (.*)$", section, re.MULTILINE) for section in sections]


@pytest.mark.parametrize(
    ("number", "season", "kick_off", "clubs", "goals"),
    [
        (0, "2024", "2024-03-26", ("Wales", "Poland"), (0, 0)),
        (1, "2024-25", "2024-08-17T14:00", ("Harbour", "Milltown"), (2, 1)),
        (2, "2013-14", "2013-08-02T22:30", ("Tigre", "Rafaela"), (1, 2)),
    ],
)
def test_the_examples_of_the_page_work_as_written(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    season: str,
    kick_off: str,
    clubs: tuple[str, str],
    goals: tuple[int, int],
) -> None:
    """The file and the settings of each example lead to its match, and inspect tells how the columns are read."""
    lines = _examples(repository)[number]
    commands = [line for line in lines if line.startswith(("export", ".venv"))]
    assert len(commands) <= 10
    rows = [line for line in lines if line not in commands]
    if number == 1:  # the dates of the whole season tell that it ends in the next year
        rows += [rows[1].replace("2024-08-17", f"2025-0{month}-10") for month in (3, 4, 5)]
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path))
    for name, quoted, plain in re.findall(r"(TOUCHLINE_\w+)=(?:'(.*?)'|(\S+))", "\n".join(commands)):
        monkeypatch.setenv(name, quoted or plain)
    settings = Settings()
    path = tmp_path / str(settings.files)
    path.write_text("\n".join(rows))
    settings = settings.model_copy(update={"files": path, "as_of": NOW})
    (slug,) = settings.competitions
    first = next(load(settings, slug).matches.itertuples())
    assert (first.season, (first.home_team, first.away_team)) == (season, clubs)
    assert (first.home_goals, first.away_goals) == goals
    assert first.kick_off.strftime("%Y-%m-%dT%H:%M").startswith(kick_off)
    assert first.kick_off_exact == ("T" in kick_off)
    report, unusable = inspect_source(settings)
    assert unusable == ()
    assert "kick_off is " in report
