"""A new league, from before its first match on: forecast by a provisional version that says what it was judged by."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from features.io import report_files
from features.io.registry import PRODUCTION
from features.matches import OUTCOMES
from orchestration.local.inspection import inspect
from orchestration.promotion.provisional import provisional_of
from orchestration.settings import PipelineSettings
from tests.support.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CLUBS = 8
FIRST = date(2025, 8, 9)
HEADER = "competition,season,kick_off,home_team,away_team,home_goals,away_goals"


def rows() -> list[str]:
    """A double round-robin season of eight clubs, two matches a Saturday, with all its scores."""
    generator = np.random.default_rng(8)
    pairs = generator.permutation([(home, away) for home in range(CLUBS) for away in range(CLUBS) if home != away])
    return [
        f"hib-premier,2025-26,{FIRST + timedelta(weeks=number // 2)}T15:00+00:00,Club {home},Club {away},"
        f"{','.join(map(str, generator.poisson([1.5, 1.1])))}"
        for number, (home, away) in enumerate(pairs)
    ]


def test_a_new_league_is_forecast_from_its_first_round_on(tmp_path: Path) -> None:
    """Before the first match there is nothing to learn from but the bundled league; settled forecasts are counted."""
    file, home = tmp_path / "mine.csv", tmp_path / "home"
    file.write_text("\n".join([HEADER, *rows()]))
    home.mkdir()
    settings = PipelineSettings(
        home=home,
        source="files",
        files=file,
        competitions=("hib-premier",),
        as_of=datetime(2025, 8, 6, 12, tzinfo=UTC),
        mlflow_tracking_uri=f"sqlite:///{home}/mlflow.db",
    )
    assert "provisional in production: it is judged by 0 matches" in inspect(settings).text
    installation = Installation(settings)
    installation.run()
    forecasts = installation.forecasts()
    assert len(forecasts) == 2 * 5, "two matches in this week and in each of the four after it"
    assert np.allclose(forecasts[list(OUTCOMES)].sum(axis=1), 1)
    assert (forecasts["trained_through"] < forecasts["kick_off"]).all()
    gate = installation.lake.read_json(report_files.PROMOTION_GATE)
    assert (gate["provisional"]["matches"], gate["provisional"]["missing"]) == (0, 100)

    later = installation.at(datetime(2025, 9, 3, 12, tzinfo=UTC))
    later.run()
    gate = later.lake.read_json(report_files.PROMOTION_GATE)
    assert (gate["provisional"]["matches"], gate["provisional"]["missing"]) == (8, 92)
    provisional = provisional_of(later.registry.by_alias(PRODUCTION))
    assert provisional is not None
    assert provisional.to_dict() == gate["provisional"]
