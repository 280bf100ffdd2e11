"""Each planted leak raises the alarm, and the honest model does not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import skellam

from features.errors import LeakageError
from features.honest_forecasts import honest_forecasts
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


def made_league(spread: float, seed: int, seasons: int = 8, clubs: int = 20) -> tuple[pd.DataFrame, np.ndarray]:
    """An honest league, goals drawn from Poisson laws, and the true probabilities that nobody can beat."""
    rng = np.random.default_rng(seed)
    strength = rng.normal(0, spread, clubs)
    pairs = np.array([(home, away) for home in range(clubs) for away in range(clubs) if home != away])
    both = np.concatenate([rng.permutation(pairs) for _ in range(seasons)])
    start = np.repeat(np.arange(2015, 2015 + seasons), len(pairs))
    gap = strength[both[:, 0]] - strength[both[:, 1]]
    rates = np.column_stack([1.5 * np.exp(gap), 1.15 * np.exp(-gap)])
    goals = rng.poisson(rates)
    day = pd.to_timedelta(np.tile(np.arange(len(pairs)) * 280 // len(pairs), seasons), "D")
    matches = pd.DataFrame(
        {
            "match_id": [str(i) for i in range(len(both))],
            "competition": "hib-premier",
            "season": [f"{year}-{(year + 1) % 100:02d}" for year in start],
            "kick_off": pd.to_datetime([f"{year}-08-08" for year in start], utc=True) + day,
            "home_team": [f"Club {home}" for home in both[:, 0]],
            "away_team": [f"Club {away}" for away in both[:, 1]],
            "neutral": False,
            "status": "played",
            "home_goals": goals[:, 0].astype(float),
            "away_goals": goals[:, 1].astype(float),
        }
    )
    win, draw = 1 - skellam.cdf(0, *rates.T), skellam.pmf(0, *rates.T)
    return matches, np.column_stack([win, draw, np.maximum(1 - win - draw, 0)])


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
def test_the_truth_about_an_unequal_league_is_no_leak(spread: float) -> None:
    """Where strong clubs meet weak ones, even true probabilities score far better than closing odds do elsewhere."""
    for seed in range(2):
        matches, truth = made_league(spread, seed)
        honest = honest_forecasts(matches, 2018)
        assert honest is not None
        rows = ~np.isnan(honest).any(axis=1)
        assert leakage_warning(truth[rows], outcomes(matches)[rows], honest=honest[rows]) is None


@pytest.mark.parametrize(
    ("plant", "spread"),
    [
        *((_unshifted_goals, spread) for spread in (0.0, 0.15, 0.3, 0.6)),
        *((_final_table, spread) for spread in (0.0, 0.15, 0.3)),
    ],
)
def test_a_planted_leak_is_found_in_a_made_league(plant: Callable[[pd.DataFrame], np.ndarray], spread: float) -> None:
    """In level leagues too, where a leak scores no better than closing odds do in the Premier League.

    The more unequal the clubs, the less a leak improves the score: of a final table alone, earlier results tell as much
    at a spread of 0.6. `test_scrambled_results` finds it there too.
    """
    matches, _ = made_league(spread, 0)
    with pytest.raises(LeakageError, match="ratings from earlier results only"):
        walk_forward_forecasts(matches, np.column_stack([plant(matches), np.zeros(len(matches))]), 1, 2018)


def test_results_of_31_0_raise_no_alarm() -> None:
    """National teams: a few strong sides, and results that no league knows."""
    matches, truth = made_league(1.3, 1, seasons=6)
    assert max(matches["home_goals"].max(), matches["away_goals"].max()) > 30
    honest = honest_forecasts(matches, 2018)
    assert honest is not None
    rows = ~np.isnan(honest).any(axis=1)
    assert leakage_warning(truth[rows], outcomes(matches)[rows], honest=honest[rows]) is None


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


@pytest.mark.parametrize(("right", "is_alarm"), [(52, False), (64, True)])
def test_few_matches_may_pass_the_limit_by_four_standard_errors(right: int, is_alarm: bool) -> None:
    """Leaning to the result in 52 of 100 matches and away from it in the others passes it by about 3, in 64 by 5.4."""
    closing, y = np.tile([0.45, 0.27, 0.28], (100, 1)), np.arange(100) % 3
    leaning = np.where(np.arange(100) < right, y, (y + 1) % 3)
    assert (leakage_warning(0.9 * closing + 0.1 * np.eye(3)[leaning], y, closing) is not None) == is_alarm


def test_a_model_that_learns_from_odds_may_be_as_good_as_they() -> None:
    """Odds know more than results: where they are the source of the skill, they are the limit, unless they are poor."""
    matches, truth = made_league(0.15, 7)
    honest = honest_forecasts(matches, 2018)
    assert honest is not None
    labels, rows = outcomes(matches), ~np.isnan(honest).any(axis=1)
    informed = 0.75 * truth + 0.25 * np.eye(3)[labels]  # odds that know injuries and line-ups
    score = informed[rows], labels[rows], None, honest[rows]
    assert leakage_warning(*score) is not None, "results alone do not explain that skill"
    assert leakage_warning(*score, informed[rows]) is None
    poor = np.tile([0.4, 0.3, 0.3], (len(labels), 1))
    assert leakage_warning(truth[rows], labels[rows], None, honest[rows], poor[rows]) is None
    leaked = 0.5 * truth + 0.5 * np.eye(3)[labels]
    assert "the odds before the matches" in str(
        leakage_warning(leaked[rows], labels[rows], None, honest[rows], informed[rows])
    )
