"""Each planted leak raises the alarm, and the honest model does not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import LeakageError
from features.leak_alarm import leakage_warning
from features.matches import outcomes
from features.matrix import FEATURES, RATING_FEATURES, REFERENCE_FEATURE, model_input
from features.models import walk_forward_forecasts
from features.rating_history import compute_ratings

ELO = FEATURES.index(REFERENCE_FEATURE)


def _evaluate(matches: pd.DataFrame, planted: np.ndarray) -> pd.DataFrame:
    """Walk-forward with the planted column as the model's only feature."""
    return walk_forward_forecasts(matches, np.column_stack([planted, np.zeros(len(matches))]), 1, 2021)


def _post_match_elo(matches: pd.DataFrame) -> np.ndarray:
    """The rating difference as it stands after the match: the classic off-by-one."""
    run = compute_ratings(matches)
    honest = model_input(run.home, run.away, matches["neutral"].to_numpy(bool))[:, ELO]
    score = 1 - outcomes(matches) / 2
    return honest + 2 * 20 / 400 * (score - 1 / (1 + 10**-honest))


def _final_table(matches: pd.DataFrame) -> np.ndarray:
    won = outcomes(matches)
    rows = pd.concat(
        [
            matches[["season"]].assign(club=matches["home_team"], points=np.array([3, 1, 0])[won]),
            matches[["season"]].assign(club=matches["away_team"], points=np.array([0, 1, 3])[won]),
        ]
    )
    total = rows.groupby(["season", "club"])["points"].sum()
    home = total.loc[pd.MultiIndex.from_frame(matches[["season", "home_team"]])].to_numpy(float)
    return home - total.loc[pd.MultiIndex.from_frame(matches[["season", "away_team"]])].to_numpy(float)


def _unshifted_goals(matches: pd.DataFrame) -> np.ndarray:
    difference = matches["home_goals"] - matches["away_goals"]
    home = difference.groupby(matches["home_team"]).transform(lambda goals: goals.rolling(3, min_periods=1).mean())
    away = (-difference).groupby(matches["away_team"]).transform(lambda goals: goals.rolling(3, min_periods=1).mean())
    return (home - away).to_numpy(float)


@pytest.mark.parametrize("plant", [_post_match_elo, _final_table, _unshifted_goals])
def test_a_planted_leak_stops_the_evaluation_with_an_explanation(
    premier_league: pd.DataFrame, plant: Callable[[pd.DataFrame], np.ndarray]
) -> None:
    with pytest.raises(LeakageError, match="after kick-off"):
        _evaluate(premier_league, plant(premier_league))


@pytest.mark.shared
@pytest.mark.parametrize("columns", [("HST", "AST"), ("HTHG", "HTAG")], ids=["same-match shots", "half-time score"])
def test_figures_of_the_match_itself_stop_the_evaluation(shared_data: Path, columns: tuple[str, str]) -> None:
    seasons = [pd.read_csv(shared_data / "footballdata" / f"E0_{y}{y + 1}.csv").assign(y=y) for y in range(15, 24)]
    raw = pd.concat(seasons).dropna(subset=["FTHG"]).reset_index(drop=True)
    matches = pd.DataFrame({"match_id": raw.index.astype(str), "season": [f"20{y}-{y + 1}" for y in raw["y"]]})
    matches = matches.assign(competition="eng-premier-league", home_goals=raw["FTHG"], away_goals=raw["FTAG"])
    planted = (raw[columns[0]] - raw[columns[1]]).to_numpy(float)
    with pytest.raises(LeakageError):
        _evaluate(matches, planted)


def test_the_honest_model_raises_no_alarm(premier_league: pd.DataFrame) -> None:
    run = compute_ratings(premier_league)
    x = model_input(run.home, run.away, premier_league["neutral"].to_numpy(bool))[:, : len(RATING_FEATURES)]
    assert len(walk_forward_forecasts(premier_league, x, ELO, 2021)) == 1900


def test_an_evaluation_better_than_the_closing_odds_it_was_given_is_stopped(premier_league: pd.DataFrame) -> None:
    run = compute_ratings(premier_league)
    x = model_input(run.home, run.away, premier_league["neutral"].to_numpy(bool))[:, : len(RATING_FEATURES)]
    blunt = premier_league.assign(closing_home=2.2, closing_draw=3.6, closing_away=3.3)
    with pytest.raises(LeakageError, match="the closing odds of the same matches"):
        walk_forward_forecasts(blunt, x, ELO, 2021)


def test_better_than_the_closing_odds_of_the_same_matches_is_an_alarm() -> None:
    rng = np.random.default_rng(0)
    closing = np.tile([0.45, 0.27, 0.28], (2000, 1))
    y = rng.choice(3, 2000, p=closing[0])
    knows_a_little = closing * 0.9 + 0.1 * np.eye(3)[y]
    assert "closing odds of the same matches" in (leakage_warning(knows_a_little, y, closing) or "")
    assert leakage_warning(closing, y, closing) is None


def test_a_lucky_month_is_no_leak() -> None:
    p = np.tile([0.6, 0.2, 0.2], (20, 1))
    assert leakage_warning(p, np.repeat([0, 1, 2], [14, 3, 3])) is None
