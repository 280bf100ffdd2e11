"""Better past results and more past shots never lower a club's chances, through ratings and model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.blend import RatingBlend
from features.io.backtest_cli import read
from features.matches import outcomes
from features.matrix import FEATURE_GROUPS, FEATURES, FeatureGroup, model_input
from features.models import outcome_model
from features.rating_history import STATE_COLUMNS, compute_ratings
from features.splits import after_burn_in

pytestmark = pytest.mark.medium

PAST = 40


def _input(matches: pd.DataFrame, features: Sequence[str]) -> np.ndarray:
    run = compute_ratings(matches)
    x = model_input(run.home, run.away, matches["neutral"].to_numpy(bool))
    return x[:, [FEATURES.index(name) for name in features]]


def _fitted(matches: pd.DataFrame, features: Sequence[str]) -> RatingBlend:
    rows = after_burn_in(matches)
    return outcome_model(features=features).fit(_input(matches, features)[rows], outcomes(matches[rows]))


def _next_at_home(matches: pd.DataFrame, row: int, club: str) -> int | None:
    later = (matches["kick_off"] > matches["kick_off"].iloc[row] + pd.Timedelta(days=1)).to_numpy()
    rows = np.flatnonzero(later & (matches["home_team"] == club).to_numpy())
    return int(rows[0]) if len(rows) else None


def _turned(matches: pd.DataFrame, row: int) -> pd.DataFrame:
    out = matches.copy()
    out.loc[row, ["home_goals", "away_goals"]] = matches.loc[row, ["away_goals", "home_goals"]].to_numpy()
    return out


def _never_falls(matches: pd.DataFrame, features: Sequence[str]) -> None:
    model = _fitted(matches, features)
    before = model.predict_proba(_input(matches, features))
    lost = np.flatnonzero(matches["home_goals"] != matches["away_goals"])[-300:]
    compared = 0
    for row in np.random.default_rng(0).choice(lost, PAST, replace=False):
        home_lost = matches.loc[row, "home_goals"] < matches.loc[row, "away_goals"]
        club = str(matches.loc[row, "home_team" if home_lost else "away_team"])
        then = _next_at_home(matches, int(row), club)
        if then is None:
            continue
        after = model.predict_proba(_input(_turned(matches, int(row)), features)[[then]])[0]
        assert after[0] > before[then, 0], f"{club} after {matches.loc[row, 'match_id']}"
        assert after[2] < before[then, 2]
        compared += 1
    assert compared > PAST / 2


def test_a_defeat_turned_into_a_win_never_lowers_the_next_home_probability(premier_league: pd.DataFrame) -> None:
    _never_falls(premier_league, FEATURE_GROUPS[FeatureGroup.GOALS])


@pytest.fixture(scope="module")
def two_tiers(shared_data: Path) -> pd.DataFrame:
    """Both English tiers of three seasons, with shots."""
    table = read(shared_data / "footballdata", ("eng-premier-league", "eng-championship"))
    return table[(table["season"] >= "2015") & (table["season"] < "2019")].reset_index(drop=True)


@pytest.mark.shared
def test_the_same_holds_for_a_model_of_shots_and_for_clubs_of_two_tiers(two_tiers: pd.DataFrame) -> None:
    _never_falls(two_tiers, FEATURE_GROUPS[FeatureGroup.SHOTS])


@pytest.mark.shared
def test_more_shots_never_lower_the_next_home_probability(two_tiers: pd.DataFrame) -> None:
    features = FEATURE_GROUPS[FeatureGroup.SHOTS]
    model = _fitted(two_tiers, features)
    before = model.predict_proba(_input(two_tiers, features))
    compared = 0
    for row in np.random.default_rng(0).choice(len(two_tiers) - 400, PAST, replace=False) + 200:
        for side in ("home", "away"):
            then = _next_at_home(two_tiers, int(row), str(two_tiers.loc[row, f"{side}_team"]))
            if then is None:
                continue
            with_more_shots = two_tiers.copy()
            with_more_shots.loc[row, [f"{side}_shots", f"{side}_shots_on_target"]] += 5
            after = model.predict_proba(_input(with_more_shots, features)[[then]])[0]
            assert after[0] >= before[then, 0]
            assert after[2] <= before[then, 2]
            compared += 1
    assert compared > PAST


@pytest.mark.shared
@pytest.mark.parametrize("column", [name for name in STATE_COLUMNS if name.endswith(("_on_target", "_shots"))][:4])
def test_ratings_of_shots_speak_for_the_club_that_has_them(two_tiers: pd.DataFrame, column: str) -> None:
    features = FEATURE_GROUPS[FeatureGroup.SHOTS]
    model, run, at_home = _fitted(two_tiers, features), compute_ratings(two_tiers), np.zeros(500, bool)
    better, home, away = run.home[-500:].copy(), run.home[-500:], run.away[-500:]
    better[:, STATE_COLUMNS.index(column)] += 0.1
    own = [FEATURES.index(name) for name in features]
    once, again = (model.predict_proba(model_input(states, away, at_home)[:, own]) for states in (home, better))
    assert (again[:, 0] >= once[:, 0]).all()
    assert (again[:, 2] <= once[:, 2]).all()
    assert (again[:, 0] > once[:, 0]).any()
