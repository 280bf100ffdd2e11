"""Parameters are chosen on earlier matches only."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features import tuning
from features.ratings.params import SINGLE_TIER

pytestmark = pytest.mark.medium


def test_blocks_learn_from_earlier_seasons_only(premier_league: pd.DataFrame) -> None:
    year = premier_league["season"].str[:4].astype(int).to_numpy()
    for learnt, judged in tuning.evaluation_blocks(premier_league, width=3):
        assert year[learnt].max() < year[judged].min()
        assert year[learnt].min() > year.min()


def test_a_hopeless_parameter_is_left_and_a_good_one_kept(premier_league: pd.DataFrame) -> None:
    early = premier_league[premier_league["season"] < "2018"].reset_index(drop=True)
    hopeless = replace(
        SINGLE_TIER,
        elo=SINGLE_TIER.elo._replace(k=200),
        pi=SINGLE_TIER.pi._replace(learning_rate=0.3),
        poisson=SINGLE_TIER.poisson._replace(learning_rate=0.2),
    )
    choice = tuning.choose(early, hopeless, ("elo",))
    assert choice.params.elo.k <= 24
    assert choice.losses["elo"] < tuning.losses(early, hopeless, tuning.COLUMNS["elo"]).mean()
    assert choice.params.pi == hopeless.pi, "ratings that are not tuned keep their parameters"


def test_a_gain_within_the_noise_moves_nothing() -> None:
    rng = np.random.default_rng(0)
    best = rng.normal(1, 0.3, 1000)
    assert not tuning._significantly_better(best - rng.normal(0.0, 0.1, 1000), best, caution=3.0)
    assert tuning._significantly_better(best - 0.01, best, caution=1.0)
