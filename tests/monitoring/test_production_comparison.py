"""A candidate against production, by results and by closing odds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from features.io.sources import bundled
from features.matches import OUTCOMES, decided_on_pitch, outcomes
from features.matrix import FEATURES, GOAL_FEATURES, model_input
from features.metrics import rps
from features.models import outcome_model
from features.rating_history import compute_ratings
from features.splits import after_burn_in, season_starts
from monitoring.production_comparison import Comparison, compare, differences_by_outcome
from tests.support.simulated_matches import forecasts

Floats = NDArray[np.float64]
MARGIN = 0.001


def _season(n: int, difference: float, seed: int = 1) -> tuple[pd.DataFrame, Floats]:
    """Settled rows of a candidate with a true mean RPS difference, and production's probabilities."""
    rng = np.random.default_rng(seed)
    truth, production, candidate = forecasts(n, difference, rng)
    columns: dict[str, Any] = {name: candidate[:, i] for i, name in enumerate(OUTCOMES)}
    columns |= {f"market_{name}": truth[:, i] for i, name in enumerate(OUTCOMES)}
    columns["outcome"] = (rng.random(n)[:, None] > truth.cumsum(axis=1)[:, :2]).sum(axis=1)
    columns["kick_off"] = pd.Timestamp("2025-08-01", tz="UTC") + pd.to_timedelta(np.arange(n) // 10, "D")
    columns["match_id"] = [f"{i:05}" for i in range(n)]
    return pd.DataFrame(columns), production


def _without_odds(rows: pd.DataFrame, first: int = 0) -> pd.DataFrame:
    """Leave out the odds from a row on."""
    odds = rows[[f"market_{name}" for name in OUTCOMES]].copy()
    odds.iloc[first:] = np.nan
    return rows.assign(**odds)


def _is_promotable(comparison: Comparison) -> bool:
    return not comparison.is_worse and (comparison.shown_by_results or comparison.shown_by_market)


def test_a_difference_by_outcome_is_the_difference_of_the_scores() -> None:
    """Its element of the outcome that happened is the realised one."""
    _, production, candidate = forecasts(20, 0.0, np.random.default_rng(0))
    by_outcome = differences_by_outcome(candidate, production)
    y = np.arange(20) % 3
    assert by_outcome[np.arange(20), y] == pytest.approx(rps(candidate, y) - rps(production, y))


def test_odds_show_in_a_season_what_results_do_not_show_yet() -> None:
    """A candidate that is better by .002."""
    comparison = compare(*_season(600, -0.002), MARGIN)
    assert comparison.shown_by_market
    assert not comparison.shown_by_results
    assert comparison.results.needed is not None
    assert comparison.results.needed > 600
    assert comparison.market is not None
    assert comparison.market.needed == 600


def test_results_alone_show_it_in_the_end() -> None:
    """Without odds the rule is the same, and takes longer."""
    rows, production = _season(6000, -0.004)
    comparison = compare(_without_odds(rows), production, MARGIN)
    assert (comparison.market, comparison.residual) == (None, None)
    assert comparison.shown_by_results


@pytest.mark.parametrize("difference", [0.0015, 0.004])
def test_a_worse_candidate_is_shown_by_neither(difference: float) -> None:
    """Whatever the number of matches."""
    rows, production = _season(4000, difference)
    assert not any(_is_promotable(compare(rows[:n], production[:n], MARGIN)) for n in range(100, 4001, 300))


def test_a_candidate_that_is_better_only_by_luck_is_not_promoted() -> None:
    """Of many bad candidates, the one with the best results so far."""
    seasons = [_season(380, 0.002, seed) for seed in range(60)]
    means = [compare(*season, MARGIN).results.difference.mean for season in seasons]
    luckiest = compare(*seasons[int(np.argmin(np.array(means, float)))], MARGIN)
    assert luckiest.results.difference.mean is not None
    assert luckiest.results.difference.mean < -0.001
    assert not _is_promotable(luckiest)


def test_odds_that_stop_still_count_for_the_matches_that_had_them() -> None:
    """The results go on."""
    rows, production = _season(900, -0.002)
    comparison = compare(_without_odds(rows, 600), production, MARGIN)
    assert comparison.market is not None
    assert (comparison.market.difference.n, comparison.results.difference.n) == (600, 900)
    assert comparison.shown_by_market


def test_wrong_odds_are_not_believed() -> None:
    """Home and away exchanged: a candidate that agrees with them would look good."""
    rows, production = _season(900, -0.002)
    exchanged = rows.assign(market_home=rows["market_away"], market_away=rows["market_home"])
    comparison = compare(exchanged, production, MARGIN)
    assert comparison.market_rejection is not None
    assert "not calibrated" in comparison.market_rejection
    assert not comparison.shown_by_market


def test_results_have_a_veto() -> None:
    """Results that are far worse than the odds expect: the line may be wrong in the way that the candidate is."""
    rows, production = _season(3000, -0.002)
    by_outcome = differences_by_outcome(rows[list(OUTCOMES)].to_numpy(float), production)
    worst = by_outcome.argmax(axis=1)
    unlucky = rows.assign(outcome=np.where(np.arange(3000) % 4 == 0, worst, rows["outcome"]))
    comparison = compare(unlucky, production, MARGIN)
    assert comparison.is_worse
    assert comparison.market_rejection is not None
    assert not _is_promotable(comparison)


def test_a_candidate_that_imitates_the_odds_has_no_residual_and_one_that_knows_more_has() -> None:
    """The residual is what the odds did not expect."""
    rows, production = _season(8000, -0.003)
    imitates = compare(rows, production, MARGIN)
    knows = rows[list(OUTCOMES)].to_numpy(float) * 0.85
    knows[np.arange(len(rows)), rows["outcome"]] += 0.15
    more = compare(rows.assign(**dict(zip(OUTCOMES, knows.T, strict=True))), production, MARGIN)
    assert imitates.residual is not None
    assert more.residual is not None
    assert imitates.residual.low is not None
    assert imitates.residual.high is not None
    assert more.residual.high is not None
    assert imitates.residual.low < 0 < imitates.residual.high
    assert more.residual.high < 0


def test_the_order_of_the_rows_does_not_matter() -> None:
    """Rows are compared in the order in which their matches were played."""
    rows, production = _season(300, 0.0)
    order = np.random.default_rng(9).permutation(300)
    assert compare(rows.iloc[order], production[order], MARGIN) == compare(rows, production, MARGIN)


def test_the_day_of_the_last_match_needed_follows_from_the_pace() -> None:
    """Ten matches a day, and eight weeks of them say so."""
    rows, production = _season(300, -0.004, seed=3)
    witness = compare(_without_odds(rows), production, MARGIN).results
    assert witness.needed is not None
    last = rows["kick_off"].max()
    expected = last + pd.Timedelta(days=(witness.needed - 300) / 10)
    assert witness.expected_on is not None
    assert abs(witness.expected_on - expected.date()) <= pd.Timedelta(days=2)
    by_odds = compare(*_season(600, -0.002), MARGIN).market
    assert by_odds is not None
    assert by_odds.expected_on is None, "there are enough"


def test_a_copy_that_was_retrained_on_a_month_more_is_shown_after_a_hundred_matches() -> None:
    """Weekly retraining must not wait for a season: two trainings of one model hardly differ."""
    played = bundled.load()
    played = played[decided_on_pitch(played)].reset_index(drop=True)
    run = compute_ratings(played)
    x = model_input(run.home, run.away, played["neutral"].to_numpy(bool))
    x, y = x[:, [FEATURES.index(name) for name in GOAL_FEATURES]], outcomes(played)
    usable, test = after_burn_in(played), np.flatnonzero(season_starts(played["season"]) == 2025)[:100]

    def trained_through(day: str) -> Floats:
        train = usable & (played["kick_off"] < pd.Timestamp(day, tz="UTC")).to_numpy()
        return np.asarray(outcome_model().fit(x[train], y[train]).predict_proba(x[test]))

    candidate = trained_through("2025-06-01")
    columns = {name: candidate[:, i] for i, name in enumerate(OUTCOMES)}
    columns |= {f"market_{name}": np.full(100, np.nan) for name in OUTCOMES}
    rows = played.loc[test, ["match_id", "kick_off"]].assign(outcome=y[test], **columns)
    assert compare(rows, trained_through("2025-05-01"), MARGIN).shown_by_results
