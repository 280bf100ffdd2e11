"""Bounds that hold at every look."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom
from scipy.stats import t as student

from monitoring.confidence_sequence import BETS, excludes_at_each_look, matches_needed, mean_bounds

Floats = NDArray[np.float64]


def _draw(n: int, mean: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Draw differences with two values each, a known range of its own, and the given mean."""
    lowest, highest = -rng.uniform(0.01, 0.1, n), rng.uniform(0.01, 0.1, n)
    share = (mean - lowest) / (highest - lowest)
    return np.where(rng.random(n) < share, highest, lowest), lowest, highest


def _supermartingale(x: Floats, lowest: Floats, mean: float) -> float:
    """Evaluate the formula of the module for the lower bound, match by match."""
    wealth = np.zeros(len(BETS))
    total = 0.0
    for i, value in enumerate(x):
        centre = max(total / (i + 1), lowest[i])
        c = centre - lowest[i]
        for k, bet in enumerate(BETS):
            psi = (-np.log(1 - bet * c) - bet * c) / c**2 if bet * c < 1 else np.inf
            wealth[k] += bet * (value - mean) - psi * (value - centre) ** 2
        total += value
    return float(np.exp(wealth).mean())


def test_the_supermartingale_of_the_formula_is_forty_at_the_lower_bound() -> None:
    """Each side has an error of 2.5 %."""
    x, lowest, highest = _draw(150, 0.01, np.random.default_rng(3))
    bounds = mean_bounds(x, lowest, highest)
    assert bounds.low is not None
    assert _supermartingale(x, lowest, bounds.low) == pytest.approx(40, rel=1e-3)


def test_all_looks_together_miss_the_mean_no_more_often_than_they_may() -> None:
    """Student's interval, looked at as often, misses it far more often."""
    rng, runs, missed, missed_by_student = np.random.default_rng(5), 600, 0, 0
    looks = np.arange(1, 401)
    for _ in range(runs):
        x, lowest, highest = _draw(len(looks), 0.002, rng)
        missed += bool(excludes_at_each_look(x, lowest, highest, 0.002).any())
        mean = np.cumsum(x) / looks
        error = np.sqrt((np.cumsum(x**2) / looks - mean**2) / np.maximum(looks - 1, 1))
        above = mean + student.ppf(0.975, np.maximum(looks - 1, 1)) * error < 0.002
        missed_by_student += bool(above[99:].any())
    assert missed <= binom.ppf(0.999, runs, 0.025)
    assert missed_by_student > binom.ppf(0.999, runs, 0.025)


def test_the_last_look_of_all_looks_agrees_with_the_bound() -> None:
    """Both are computed from the same sums."""
    x, lowest, highest = _draw(300, -0.02, np.random.default_rng(1))
    high = mean_bounds(x, lowest, highest).high
    assert high is not None
    assert excludes_at_each_look(x, lowest, highest, high + 1e-6)[-1]
    assert not excludes_at_each_look(x, lowest, highest, high - 1e-6)[-1]


def test_bounds_close_in_on_the_mean() -> None:
    """From nothing known to a narrow interval."""
    x, lowest, highest = _draw(20_000, 0.005, np.random.default_rng(2))
    widths = []
    for n in (1, 100, 1000, 20_000):
        bounds = mean_bounds(x[:n], lowest[:n], highest[:n])
        assert bounds.low is not None
        assert bounds.high is not None
        assert bounds.low <= 0.005 <= bounds.high
        widths.append(bounds.high - bounds.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.006
    assert mean_bounds(x[:0], lowest[:0], highest[:0]).low is None


def test_a_difference_of_any_size_leaves_the_bounds_between_minus_one_and_one() -> None:
    """Forecasts of 0 and 1 give the whole range, and every bet would be too large."""
    ones = np.ones(5)
    bounds = mean_bounds(np.array([1.0, -1, 1, -1, 1]), -ones, ones)
    assert (bounds.low, bounds.high) == (-1, 1)


def test_equal_forecasts_are_known_to_be_equal_after_a_hundred_matches() -> None:
    """No difference has a range: whatever happens, it is 0."""
    zeros = np.zeros(100)
    bounds = mean_bounds(zeros, zeros, zeros)
    assert bounds.high == pytest.approx(np.log(len(BETS) * 40) / BETS[-1] / 100, rel=0.1)


def test_the_number_of_matches_needed_is_the_one_at_which_the_bound_is_low_enough() -> None:
    """The same matches again and again are the later ones that it assumes."""
    x, lowest, highest = (np.tile(part, 100) for part in _draw(60, -0.01, np.random.default_rng(7)))
    needed = matches_needed(x[:60], lowest[:60], highest[:60], 0.001)
    assert needed is not None
    first = int(np.argmax(excludes_at_each_look(x, lowest, highest, 0.001))) + 1
    assert needed == pytest.approx(first, rel=0.3)
    assert matches_needed(-x[:60], -highest[:60], -lowest[:60], 0.001) is None
