"""A feature that depends on results of its own day or later is named, however little it depends on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from features.errors import LeakageError
from features.matches import outcomes
from features.matrix import FEATURES, RATING_FEATURES, REFERENCE_FEATURE, model_input
from features.rating_history import compute_ratings
from features.scrambled_results import check_features

Compute = Callable[[pd.DataFrame], np.ndarray]


@pytest.fixture(scope="module")
def seasons(premier_league: pd.DataFrame) -> pd.DataFrame:
    """Three seasons, with shots that follow from the goals and odds that do so a little."""
    table = premier_league[premier_league["season"] >= "2023-24"].reset_index(drop=True)
    for side in ("home", "away"):
        table[f"{side}_shots_on_target"] = table[f"{side}_goals"] + 3
        table[f"{side}_shots"] = 2 * table[f"{side}_goals"] + 6
        table[f"odds_{side}"] = table[f"closing_{side}"] = 3 - table[f"{side}_goals"] / 10
    return table.assign(odds_draw=3.0, closing_draw=3.0)


def ratings(matches: pd.DataFrame) -> np.ndarray:
    run = compute_ratings(matches)
    return model_input(run.home, run.away, matches["neutral"].to_numpy(bool))[:, : len(RATING_FEATURES)]


def post_match_elo(matches: pd.DataFrame) -> np.ndarray:
    """A thousandth of the step of the match itself."""
    honest = ratings(matches)[:, [FEATURES.index(REFERENCE_FEATURE)]]
    return honest + 0.0001 * (1 - outcomes(matches)[:, None])


def by_club(matches: pd.DataFrame, groups: list[str], window: int | None = None, shift: int = 0) -> np.ndarray:
    """Mean points of the home club: over all its matches in a group, or over the last ones."""
    points = pd.Series(np.array([3.0, 1.0, 0.0])[outcomes(matches)])
    by = points.groupby([matches[name] for name in groups])
    if window is None:
        return by.transform("mean").to_numpy(float)[:, None]
    mean = by.transform(lambda series: series.shift(shift).rolling(window, min_periods=1).mean())
    return mean.to_numpy(float)[:, None]


LEAKS: dict[str, Compute] = {
    "rating after the match": post_match_elo,
    "final table": lambda matches: by_club(matches, ["season", "home_team"]),
    "target encoded": lambda matches: by_club(matches, ["home_team"]),
    "unshifted window": lambda matches: by_club(matches, ["home_team"], 20),
    "shots of the match": lambda matches: matches[["home_shots", "away_shots_on_target"]].to_numpy(float),
    "odds of the match": lambda matches: matches[["odds_home"]].to_numpy(float) * 1e-9,
    "closing odds of the match": lambda matches: matches[["closing_away"]].to_numpy(float) * 1e-9,
    "goals of the match": lambda matches: matches[["home_goals"]].to_numpy(float) * 1e-9,
}


def test_the_features_of_the_model_pass(seasons: pd.DataFrame) -> None:
    """Every feature is equal bit by bit, whatever happens from the day of the match on."""
    check_features(seasons, ratings, RATING_FEATURES)


def test_a_window_over_earlier_matches_passes(seasons: pd.DataFrame) -> None:
    check_features(seasons, lambda matches: by_club(matches, ["home_team"], 5, shift=1))


@pytest.mark.parametrize("leak", LEAKS)
def test_every_dependence_on_later_results_is_named(seasons: pd.DataFrame, leak: str) -> None:
    """The message names the feature and a match, and says what was done."""
    with pytest.raises(LeakageError, match=r"leaky.*: the value for \d+ matches up to .* results from that day on"):
        check_features(seasons, LEAKS[leak], ("leaky", "leaky too"))
