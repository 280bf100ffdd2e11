"""Forecasts as callers see them."""

from __future__ import annotations

import httpx
import numpy as np

from features.forecasts import forecast
from features.io.registry import PRODUCTION
from features.io.sources.bundled import COMPETITION
from features.matches import OUTCOMES, conform


def test_a_forecast_asked_for_now_equals_the_one_of_the_batch(api: httpx.Client, master) -> None:
    lake = master.lake
    matches = conform(lake.read_table("matches", COMPETITION))
    fixtures = matches[matches["status"] == "scheduled"].head(10)
    states = lake.read_table("team_states", COMPETITION)
    version = master.registry.by_alias(PRODUCTION)
    model = master.registry.load(version)
    as_of = states["features_as_of"].max().to_pydatetime()
    batch = forecast(model, fixtures, states, version.version, version.trained_through, as_of)
    for row, published in zip(batch.itertuples(), batch[list(OUTCOMES)].to_numpy(float), strict=True):
        answer = api.post("/predict", json={"home_team": row.home_team, "away_team": row.away_team})
        assert answer.status_code == 200, answer.text
        online = answer.json()
        assert online["match_id"] == row.match_id
        now = [online["probabilities"][outcome] for outcome in OUTCOMES]
        np.testing.assert_allclose(now, published, rtol=0, atol=1e-9)
        assert online["model"]["version"] == version.version
