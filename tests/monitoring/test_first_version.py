"""A first version is refused only if it is shown to be bad, and provisional until it is shown to be good."""

from __future__ import annotations

import numpy as np
import pytest

from features.metrics import rps
from monitoring.differences import Difference, paired_difference
from monitoring.first_version import judge, pool

SAME = Difference(500, 0.0, -0.01, 0.01)


def league(n: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """True probabilities (n, 3) of a league with clear favourites, and outcomes drawn from them."""
    generator = np.random.default_rng(seed)
    strength = generator.normal(0.25, 0.7, n)
    weights = np.exp(np.column_stack([strength, np.zeros(n), -strength]))
    p = weights / weights.sum(axis=1, keepdims=True)
    return p, (generator.random((n, 1)) > p.cumsum(axis=1)[:, :2]).sum(axis=1)


def against_base_rate(p: np.ndarray, truth: np.ndarray, y: np.ndarray) -> Difference:
    return paired_difference(rps(p, y), rps(np.tile(truth.mean(axis=0), (len(y), 1)), y))


def test_the_truth_is_confirmed_once_there_are_enough_matches() -> None:
    truth, y = league(600)
    verdict = judge(against_base_rate(truth, truth, y), SAME)
    assert verdict.rejection is None
    assert verdict.provisional is None


@pytest.mark.parametrize("n", [0, 1, 90, 99])
def test_few_matches_make_it_provisional_and_the_missing_are_counted(n: int) -> None:
    """However good or bad it looks: so few matches show nothing."""
    truth, y = league(600)
    shouting = np.tile([0.01, 0.01, 0.98], (n, 1))
    for p in (truth[:n], shouting):
        difference = against_base_rate(p, truth, y[:n])
        verdict = judge(difference, difference)
        assert verdict.rejection is None
        assert verdict.provisional is not None
        assert (verdict.provisional.matches, verdict.provisional.missing) == (n, 100 - n)
        assert f"judged by {n} matches" in verdict.provisional.reason


def test_no_better_than_the_base_rate_is_provisional() -> None:
    """In a league of equal clubs, even the true probabilities are no better."""
    truth, y = league(600)
    verdict = judge(against_base_rate(np.tile(truth.mean(axis=0), (len(y), 1)), truth, y), SAME)
    assert verdict.rejection is None
    assert verdict.provisional is not None
    assert verdict.provisional.missing == 0
    assert "not significantly better than the base rate on 600 matches" in verdict.provisional.reason


def test_what_is_shown_to_be_bad_is_refused() -> None:
    truth, y = league(600)
    reversed_truth = truth[:, ::-1]
    assert "worse than the base rate" in (judge(against_base_rate(reversed_truth, truth, y), SAME).rejection or "")
    good = against_base_rate(truth, truth, y)
    assert "worse than plain Elo" in (judge(good, Difference(600, 0.01, 0.002, 0.018)).rejection or "")
    assert judge(good, Difference(600, 0.001, -0.002, 0.004)).rejection is None


def test_without_forecasts_of_plain_elo_it_stays_provisional() -> None:
    """In a first season there are none; beating the base rate alone confirms nothing."""
    truth, y = league(600)
    verdict = judge(against_base_rate(truth, truth, y), Difference(40, -0.01, -0.02, 0.0))
    assert verdict.rejection is None
    assert verdict.provisional is not None
    assert (verdict.provisional.matches, verdict.provisional.missing) == (600, 60)


@pytest.mark.parametrize("sizes", [(0, 0), (0, 40), (40, 0), (1, 40), (40, 1), (1, 1), (90, 30)])
def test_pooled_differences_are_those_of_all_matches_together(sizes: tuple[int, int]) -> None:
    generator = np.random.default_rng(3)
    model, reference = generator.random((2, sum(sizes)))
    first, second = (
        paired_difference(model[rows], reference[rows]) for rows in np.split(np.arange(sum(sizes)), sizes[:1])
    )
    together, pooled = paired_difference(model, reference), pool(first, second)
    assert pooled.n == together.n
    for name in ("mean", "low", "high"):
        expected = getattr(together, name)
        assert getattr(pooled, name) == (None if expected is None else pytest.approx(expected, abs=1e-12))
