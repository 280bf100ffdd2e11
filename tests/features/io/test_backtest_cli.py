"""The back-test command: its figures and its alarms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import backtest, tuning
from features.io import backtest_cli as command
from features.io.sources import bundled
from features.matches import ODDS, outcomes
from features.matrix import model_input
from features.odds import CLOSING_ODDS
from features.ratings.params import MULTI_TIER, SINGLE_TIER, RatingParams

pytestmark = pytest.mark.medium


def test_a_planted_leak_stops_the_command_with_an_explanation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recent = bundled.load().tail(5 * 380).reset_index(drop=True)

    def leaky(home: np.ndarray, away: np.ndarray, neutral: np.ndarray, market: np.ndarray | None = None) -> np.ndarray:
        x = model_input(home, away, neutral, market)
        x[:, 0] += 0.3 * (1 - outcomes(recent))
        return x

    monkeypatch.setattr(bundled, "load", lambda: recent)
    monkeypatch.setattr(backtest, "model_input", leaky)
    assert command.main([]) == 1
    errors = capsys.readouterr().err
    assert "STOPPED: RPS" in errors
    assert "a rating after the match" in errors


@pytest.mark.parametrize(
    ("again", "code"), [((SINGLE_TIER, MULTI_TIER), 0), ((SINGLE_TIER, replace(MULTI_TIER, gain=SINGLE_TIER.gain)), 1)]
)
def test_a_search_that_finds_other_parameters_than_the_recorded_ones_fails(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    again: tuple[RatingParams, RatingParams],
    code: int,
) -> None:
    choices = iter([params for params in again for _ in range(2)])  # ratings of goals first, then those of shots
    monkeypatch.setattr(tuning, "choose", lambda *_, **__: tuning.Choice(next(choices), {}, 0, 0))
    monkeypatch.setattr(tuning, "penalty", lambda *_: {})
    monkeypatch.setattr(backtest, "pools", lambda matches, _: backtest.Forecasts(matches, outcomes(matches), {}))
    monkeypatch.setattr(backtest, "report", lambda *_: "")
    monkeypatch.setattr(command, "read", lambda _: bundled.load())
    monkeypatch.setattr(command, "_report", lambda _: None)
    assert command.main(["--tune", "--data", str(tmp_path)]) == code
    assert ("recorded: " in capsys.readouterr().out) == bool(code)


@pytest.mark.shared
def test_bundled_matches_get_odds_and_shots_of_the_same_matches(shared_data: Path) -> None:
    files = command.read(shared_data / "footballdata", ("eng-premier-league",))
    both = command.with_odds_and_shots(bundled.load(), files)
    added = [*ODDS, "odds_known_at", *CLOSING_ODDS, *backtest.SHOTS]
    pd.testing.assert_frame_equal(both.drop(columns=added), bundled.load().drop(columns=added))
    for columns in (ODDS, backtest.SHOTS):
        known = both[list(columns)].notna().all(axis=1).groupby(both["season"]).sum()
        assert (known.loc[:"2023-24"] >= 379).all(), "the file of 2021/22 has impossible shots of one match"
        assert (known.loc["2024-25":] == 0).all()
