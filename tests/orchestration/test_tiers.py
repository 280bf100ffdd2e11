"""Two competitions of one country are rated together, in batch and online."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.errors import TouchlineError
from features.forecasts import SCHEMA, probabilities, states_of
from features.io.registry import LoadedModel, ModelVersion
from features.io.sources import SourceResult, bundled
from features.io.sources.source_result import quarantine_table
from features.matches import OUTCOMES, with_match_ids
from features.matrix import GOAL_FEATURES
from features.rating_history import STATE_COLUMNS
from orchestration.resources import MatchSource
from orchestration.steps.input_fingerprints import competitions_of_country
from orchestration.steps.lake_tables import empty_table, matches
from orchestration.steps.weekly_forecasts import forecasts_of_week
from tests.support.fakes import EloModel

AS_OF = bundled.REPLAY_AS_OF
FIRST, SECOND = "eng-premier-league", "eng-championship"
CLUBS = ["home_team", "away_team"]


def tier(competition: str) -> pd.DataFrame:
    """One half of the bundled league, split alphabetically each season, so that some clubs go up and others down."""
    table = bundled.load()
    rank = table.groupby("season")["home_team"].transform(lambda clubs: clubs.rank(method="dense"))
    last_of_first = table[rank <= 10].groupby("season")["home_team"].max().reindex(table["season"]).to_numpy()
    above = [(table[club].to_numpy() <= last_of_first) == (competition == FIRST) for club in CLUBS]
    mine = table[np.logical_and(*above)].drop(columns="match_id").assign(competition=competition)
    return with_match_ids(mine.reset_index(drop=True))[table.columns]


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_tiers_are_rated_together_online_as_in_batch(fresh, monkeypatch) -> None:
    def no_training(*_: object) -> None:
        raise TouchlineError("this test needs no trained model")

    home = fresh(AS_OF)
    home.settings = home.settings.model_copy(update={"competitions": (FIRST, SECOND)})
    monkeypatch.setattr(MatchSource, "load", lambda _, name, say: SourceResult(tier(name), quarantine_table([])))
    monkeypatch.setattr("orchestration.assets.outcome_model.train", no_training)
    with pytest.raises(TouchlineError, match="needs no trained model"):
        home.run()
    trained = {"trained_through": "2025-05-25T15:00:00+00:00"}
    model = LoadedModel(ModelVersion(1, "run", AS_OF, trained), EloModel(), GOAL_FEATURES)
    batch = forecasts_of_week(model, matches(home.lake), "2026-03-09", AS_OF, False, empty_table(SCHEMA))
    assert set(batch["competition"]) == {FIRST, SECOND}
    states = pd.concat([home.lake.read_table("team_states", name) for name in (FIRST, SECOND)])
    sides = [states_of(states, batch[club], batch["competition"]) for club in CLUBS]
    home_states, away_states = (side[list(STATE_COLUMNS)].to_numpy(float) for side in sides)
    online = probabilities(model, home_states, away_states, np.zeros(len(batch), bool))
    np.testing.assert_allclose(online, batch[list(OUTCOMES)], rtol=0, atol=1e-9)
    assert (batch["features_as_of"].to_numpy() == sides[0]["features_as_of"].to_numpy()).all()


def test_tiers_of_own_files_are_pooled_as_the_ratings_pool_them(fresh) -> None:
    lake = fresh(None).lake
    for name in ("atl-first", "atl-second", "pac-first"):
        lake.write_table("matches", name, pd.DataFrame({"home_team": ["Reef"]}))
    assert competitions_of_country(lake, "atl-first") == ["atl-first", "atl-second"]
