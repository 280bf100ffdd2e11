"""A competition without any result gets the same forecasts online as in the batch."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from features.forecasts import forecast
from features.io.registry import LoadedModel, ModelVersion
from features.io.sources.bundled import REPLAY_AS_OF, load
from features.io.store import Lake
from features.matches import OUTCOMES, RESULT_COLUMNS, outcomes, with_match_ids
from features.matrix import FEATURES, GOAL_FEATURES, model_input
from features.metrics import base_rate
from features.models import outcome_model
from features.rating_history import compute_ratings
from serving.wire.fixtures import Fixture
from serving.worker.predictor import Predictor
from tests.support.fakes import OneVersionRegistry
from tests.support.predictor_helpers import ask

LEAGUE = "atl-island-league"
THROUGH = "2025-05-25T15:00:00+00:00"


def test_online_equals_batch_where_nothing_is_known(tmp_path: Path) -> None:
    table = load()
    run = compute_ratings(table)
    x = model_input(run.home, run.away, table["neutral"].to_numpy(bool))[
        :, [FEATURES.index(name) for name in GOAL_FEATURES]
    ]
    version = ModelVersion(1, "run", REPLAY_AS_OF, {"trained_through": THROUGH})
    model = LoadedModel(version, outcome_model(features=GOAL_FEATURES).fit(x, outcomes(table)), GOAL_FEATURES)
    ahead = table[(table["season"] == "2025-26") & (table["matchday"] == 30)]
    ahead = with_match_ids(ahead.assign(competition=LEAGUE, status="scheduled"))[table.columns]
    ahead[list(RESULT_COLUMNS)] = np.nan
    states, lake = compute_ratings(ahead).team_states, Lake(str(tmp_path))
    lake.write_table("team_states", LEAGUE, states)
    batch = forecast(model, ahead, states, 1, version.trained_through, REPLAY_AS_OF)
    fixtures = [
        Fixture(
            match["match_id"],
            LEAGUE,
            match["season"],
            match["kick_off"].isoformat(),
            match["home_team"],
            match["away_team"],
            neutral=False,
        )
        for match in ahead.to_dict("records")
    ]
    answers = ask(Predictor(OneVersionRegistry(model), lake), fixtures)
    usual = base_rate(outcomes(table))
    for answer, row in zip(answers, batch.itertuples(), strict=True):
        p = [answer["probabilities"][outcome] for outcome in OUTCOMES]
        assert p == pytest.approx([row.home, row.draw, row.away], abs=1e-9)
        assert p == pytest.approx(usual, abs=0.05), "close to the base rate"
        assert datetime.fromisoformat(answer["features_as_of"]) == row.features_as_of == version.trained_through
        assert (row.home_matches, row.away_matches) == (0, 0)
