"""An installation on real files with odds, which training, published forecasts and online forecasts all use."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.forecasts import PUBLISHED, probabilities, states_of
from features.io.registry import PRODUCTION
from features.matches import ODDS, OUTCOMES, Status
from features.matrix import FEATURE_GROUPS, FeatureGroup
from features.metrics import rps
from features.odds import bookmaker_log_odds, shin
from features.rating_history import STATE_COLUMNS
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables
from tests.support.installation import Installation

FRIDAY = datetime(2024, 3, 1, 19, tzinfo=UTC)
"""A Friday evening, when the odds of the weekend are known."""


@pytest.mark.shared
@pytest.mark.timeout(900)
@pytest.mark.slow
def test_odds_of_real_files_are_learnt_published_and_used_online(site: Any, shared_data: Path, tmp_path: Path) -> None:
    for path in (shared_data / "footballdata").glob("E0_*.csv"):
        if "15" <= path.stem[3:5] <= "23":
            site.files[f"/mmz4281/{path.stem[3:]}/E0.csv"] = path.read_bytes()
    home = Installation(
        PipelineSettings(
            home=tmp_path, source="football_data", football_data_url=site.url, as_of=FRIDAY,
            evaluation_first_season=2019, features=FeatureGroup.SHOTS_AND_ODDS, mlflow_tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        )
    )  # fmt: skip
    home.run()
    production = home.registry.by_alias(PRODUCTION)
    assert production is not None
    model = home.registry.load(production)
    assert model.features == FEATURE_GROUPS[FeatureGroup.SHOTS_AND_ODDS]

    rows = lake_tables.read_weeks(home.lake, "forecasts", PUBLISHED).sort_values("match_id", ignore_index=True)
    used = rows["odds_known_at"].notna()
    assert (rows.loc[used, "odds_known_at"] <= rows.loc[used, "published_at"]).all()
    assert (rows["features_as_of"] < rows["kick_off"]).all()
    ahead = rows[rows["kick_off"] > FRIDAY].reset_index(drop=True)
    weekend = ahead["kick_off"] < pd.Timestamp("2024-03-05", tz="UTC")
    assert ahead["odds_known_at"].notna().tolist() == weekend.tolist()
    assert weekend.sum() == 10
    passed = rows[(rows["kick_off"] < "2024-02-26") & used]
    begin = passed["kick_off"].dt.floor("D") - pd.to_timedelta(passed["kick_off"].dt.dayofweek, unit="D")
    assert (passed["odds_known_at"] <= begin).all(), "a replayed week uses the odds known on its Monday"

    matches = lake_tables.matches(home.lake)
    fixtures = matches[matches["match_id"].isin(ahead["match_id"])].sort_values("match_id", ignore_index=True)
    states = home.lake.read_table("team_states", "eng-premier-league")
    home_states, away_states = (
        states_of(states, fixtures[side], fixtures["competition"])[list(STATE_COLUMNS)].to_numpy(float)
        for side in ("home_team", "away_team")
    )
    online = probabilities(
        model, home_states, away_states, np.zeros(len(fixtures), bool), bookmaker_log_odds(fixtures, FRIDAY)
    )
    np.testing.assert_allclose(online, ahead[list(OUTCOMES)], rtol=0, atol=1e-9)
    bookmakers = shin(ahead.loc[weekend, list(ODDS)].to_numpy(float))
    assert np.abs(ahead.loc[weekend, list(OUTCOMES)].to_numpy(float) - bookmakers).max() < 0.05

    settled = lake_tables.settled_forecasts(home.lake)
    played = matches[(matches["status"] == Status.PLAYED) & (matches["season"] == "2023-24")]
    assert set(settled["match_id"]) == set(played["match_id"])
    assert settled["rps"].mean() < rps(np.full((len(settled), 3), 1 / 3), settled["outcome"].to_numpy(int)).mean()
