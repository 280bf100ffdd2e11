"""Scores against values worked out by hand, and their bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInputError
from features.metrics import base_rate, brier, calibration_error, log_loss, rps, summary

TRIPLE = np.array([[0.5, 0.3, 0.2]])


def test_scores_agree_with_a_worked_example() -> None:
    home = np.array([0])
    assert rps(TRIPLE, home)[0] == pytest.approx(((0.5 - 1) ** 2 + (0.8 - 1) ** 2) / 2)
    assert brier(TRIPLE, home)[0] == pytest.approx(0.25 + 0.09 + 0.04)
    assert log_loss(TRIPLE, home)[0] == pytest.approx(-np.log(0.5))


def test_rps_forgives_a_draw_more_than_an_away_win() -> None:
    certain_home = np.array([[1.0, 0.0, 0.0]])
    assert rps(certain_home, np.array([1]))[0] == 0.5
    assert rps(certain_home, np.array([2]))[0] == 1.0


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.integers(0, 2))
def test_scores_stay_in_their_bounds(weights: list[float], outcome: int) -> None:
    p, y = np.array([weights]) / sum(weights), np.array([outcome])
    assert 0 <= rps(p, y)[0] <= 1
    assert 0 <= brier(p, y)[0] <= 2
    assert log_loss(p, y)[0] >= 0


def test_the_truth_scores_better_than_any_other_forecast_on_average() -> None:
    y = np.repeat([0, 1, 2], [50, 30, 20])
    for score in (rps, brier, log_loss):
        truth = score(np.repeat(TRIPLE, 100, axis=0), y).mean()
        assert truth < score(np.tile([0.6, 0.2, 0.2], (100, 1)), y).mean()


def test_calibrated_forecasts_have_no_calibration_error() -> None:
    y = np.repeat([0, 1, 2], [50, 30, 20])
    assert calibration_error(np.repeat(TRIPLE, 100, axis=0), y) == pytest.approx(0)
    assert calibration_error(np.tile([0.95, 0.03, 0.02], (100, 1)), y) > 0.2


@pytest.mark.parametrize("bad", [[[0.5, 0.5, 0.5]], [[np.nan, 0.5, 0.5]], [[0.5, 0.5]]])
def test_what_is_no_probability_triple_is_refused(bad: list[list[float]]) -> None:
    with pytest.raises(InvalidInputError):
        rps(np.array(bad), np.array([0]))


def test_the_summary_says_how_many_matches_it_is_made_of() -> None:
    y = np.array([0, 0, 1, 2])
    scores = summary(np.tile(base_rate(y), (4, 1)), y)
    assert scores["n"] == 4
    assert set(scores) == {"n", "rps", "log_loss", "brier", "accuracy", "ece"}
