"""A league of the user's own, as `EXAMPLES.md` says: from its file to published forecasts, by settings alone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from features.matches import OUTCOMES
from orchestration.local.inspection import inspect
from orchestration.settings import PipelineSettings
from tests.support.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AS_OF = datetime(2026, 1, 9, 12, tzinfo=UTC)
CLUBS = [
    f"{place} {kind}" for place in ("North", "South", "East", "West", "Upper", "Lower") for kind in ("ford", "ham")
]


def rows(first: int, last: int) -> list[str]:
    """Double round-robin seasons of twelve clubs in a layout of football-data.co.uk; later matches have no score."""
    rng = np.random.default_rng(5)
    strength = rng.normal(0, 0.3, len(CLUBS))
    lines = []
    for year in range(first, last + 1):
        pairs = rng.permutation([(h, a) for h in range(len(CLUBS)) for a in range(len(CLUBS)) if h != a])
        for number, (home, away) in enumerate(pairs):
            day = date(year, 8, 9) + timedelta(days=int(number * 280 / len(pairs)))
            gap = strength[home] - strength[away]
            goals = rng.poisson([1.5 * np.exp(gap), 1.1 * np.exp(-gap)])
            score = f"{goals[0]},{goals[1]}" if day < AS_OF.date() else ","
            season = f"{year}/{year + 1}"
            lines.append(f"Atlantis,Premier,{season},{day:%d/%m/%Y},20:00,{CLUBS[home]},{CLUBS[away]},{score},")
    return lines


def test_own_league_is_forecast_by_the_settings_of_the_page(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's third example, with another league: at most ten lines of settings, and no Python."""
    page = (repository / "features" / "io" / "sources" / "EXAMPLES.md").read_text().split("\n## ")[3]
    header, *_ = re.findall(r"^    (Country.*)$", page, re.MULTILINE)
    for name, quoted, plain in re.findall(r"(TOUCHLINE_\w+)=(?:'(.*?)'|(\S+))", page):
        monkeypatch.setenv(name, (quoted or plain).replace("arg-superliga", "atl-premier"))
    home = tmp_path / "home"
    settings = PipelineSettings(home=home, as_of=AS_OF, mlflow_tracking_uri=f"sqlite:///{home}/mlflow.db")
    file = tmp_path / "ARG.csv"
    file.write_text("\n".join([header, *rows(2021, 2025)]))
    settings = settings.model_copy(update={"files": file})

    report = inspect(settings)
    assert report.unusable == ()
    assert "a first model can be trained and judged" in report.text
    home.mkdir(exist_ok=True)
    installation = Installation(settings)
    installation.run()
    forecasts = installation.forecasts()
    upcoming = forecasts[forecasts["kick_off"] > AS_OF]
    assert len(upcoming) > 5
    assert np.allclose(upcoming[list(OUTCOMES)].sum(axis=1), 1)
    assert installation.lake.read_table("season_forecast", "atl-premier")["p_title"].sum() == pytest.approx(1)
