"""The performance report says exactly what the settled rows say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import metrics
from features.errors import InvalidInputError
from features.io.store import Lake
from monitoring.calibration import calibration, calibration_limit, reliability_curve, wilson
from monitoring.differences import paired_difference
from monitoring.exporter import ReportCollector
from monitoring.performance import performance_report, surprise

AS_OF = datetime(2026, 3, 13, 12, tzinfo=UTC)
COLUMNS = ("home", "draw", "away")


def settled_rows(n: int = 300, seed: int = 1, market: bool = False, bias: float = 0.0) -> pd.DataFrame:
    """Settled rows whose outcomes are drawn from the model's own probabilities: without `bias` the model is perfect."""
    generator = np.random.default_rng(seed)
    strength = generator.normal(0.3, 0.8, n)
    weights = np.exp(np.column_stack([strength, np.zeros(n), -strength]))
    p = weights / weights.sum(axis=1, keepdims=True)
    y = (generator.random((n, 1)) > p.cumsum(axis=1)[:, :2]).sum(axis=1)
    model = p + bias * np.array([1.0, 0.0, -1.0]) * p[:, [2]]
    rows = pd.DataFrame(model, columns=list(COLUMNS)).assign(
        match_id=[f"m{i}" for i in range(n)],
        competition=np.where(np.arange(n) % 3 == 0, "eng-championship", "eng-premier-league"),
        season=np.where(np.arange(n) < n // 2, "2024-25", "2025-26"),
        kick_off=pd.date_range("2025-08-16 15:00", periods=n, freq="12h", tz="UTC"),
        model_version=np.where(np.arange(n) < n // 4, 1, 2),
        outcome=y,
        rps=metrics.rps(model, y),
        log_loss=metrics.log_loss(model, y),
        brier=metrics.brier(model, y),
    )
    flat = 0.5 * p + 0.5 * p.mean(axis=0)
    for name, triple in (
        ("elo", flat),
        ("base", np.tile(p.mean(axis=0), (n, 1))),
        ("market", p if market else p * np.nan),
    ):
        rows[[f"{name}_{outcome}" for outcome in COLUMNS]] = triple
    return rows


def find(document: dict, competition: str = "all", window: str = "all", version: str = "all") -> dict:
    return next(
        group
        for group in document["groups"]
        if (group["competition"], group["window"], group["model_version"]) == (competition, window, version)
    )


def test_a_match_settled_twice_is_an_error() -> None:
    """A match that is settled twice is refused and not scored twice."""
    rows = settled_rows()
    with pytest.raises(InvalidInputError, match="duplicate match_id"):
        performance_report(pd.concat([rows, rows.iloc[[7]]]), AS_OF)


def test_scores_are_exact_to_the_published_rows() -> None:
    rows = settled_rows()
    everything = find(performance_report(rows, AS_OF))["scores"]["model"]
    assert everything["rps"] == pytest.approx(rows["rps"].mean(), abs=1e-12)
    assert everything["log_loss"] == pytest.approx(rows["log_loss"].mean(), abs=1e-12)
    assert everything["brier"] == pytest.approx(rows["brier"].mean(), abs=1e-12)
    guess = rows[list(COLUMNS)].to_numpy().argmax(axis=1)
    assert everything["accuracy"] == pytest.approx((guess == rows["outcome"]).mean())


def test_every_group_has_exactly_its_rows() -> None:
    rows = settled_rows()
    document = performance_report(rows.sample(frac=1, random_state=0), AS_OF)
    for competition, part in (("all", rows), *rows.groupby("competition")):
        assert find(document, competition)["scores"]["model"]["rps"] == pytest.approx(part["rps"].mean())
        assert find(document, competition, "last_100")["scores"]["model"]["rps"] == pytest.approx(
            part.tail(100)["rps"].mean()
        )
        season = part[part["season"] == "2025-26"]
        assert find(document, competition, "season")["matches"] == len(season)
        for version, own in part.groupby("model_version"):
            for window, part_of in (("all", own), ("last_100", own.tail(100))):
                group = find(document, competition, window, str(version))
                assert group["matches"] == len(part_of)
                assert group["scores"]["model"]["rps"] == pytest.approx(part_of["rps"].mean())


def test_skill_and_difference_agree_with_the_scores() -> None:
    group = find(performance_report(settled_rows(), AS_OF))
    for name in ("elo", "base"):
        ours, theirs = group["scores"]["model"]["rps"], group["scores"][name]["rps"]
        comparison = group["against"][name]
        assert comparison["skill"] == pytest.approx(1 - ours / theirs)
        assert comparison["mean"] == pytest.approx(ours - theirs)
        assert comparison["low"] < comparison["mean"] < comparison["high"] < 0
    assert "market" not in group["against"]
    assert group["scores"]["market"] is None


def test_the_market_is_compared_on_the_matches_that_have_odds() -> None:
    rows = settled_rows(market=True)
    rows.loc[rows.index[50:], ["market_home", "market_draw", "market_away"]] = np.nan
    group = find(performance_report(rows, AS_OF))
    assert group["against"]["market"]["n"] == 50
    assert group["against"]["market"]["mean"] == pytest.approx(0)
    assert group["scores"]["market"]["n"] == 50


def test_weeks_are_in_order_and_the_running_mean_ends_at_the_whole() -> None:
    rows = settled_rows()
    document = performance_report(rows, AS_OF)
    weeks = document["weeks"]
    assert [week["week"] for week in weeks] == sorted(week["week"] for week in weeks)
    assert sum(week["matches"] for week in weeks) == len(rows)
    assert weeks[-1]["rps_so_far"]["model"] == pytest.approx(rows["rps"].mean())
    assert weeks[-1]["rps_so_far"]["market"] is None


def test_the_report_is_plain_json_without_nan_and_feeds_the_exporter(tmp_path: Path) -> None:
    document = performance_report(settled_rows(), AS_OF)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    lake = Lake(str(tmp_path))
    lake.write_json("reports/performance.json", document)
    exported = {
        (sample.name, *sample.labels.values()): sample.value
        for family in ReportCollector(lake).collect()
        for sample in family.samples
    }
    group = find(document)
    assert exported["touchline_score_mean", "all", "all", "model", "rps"] == group["scores"]["model"]["rps"]
    assert exported["touchline_skill_score", "all", "all", "elo"] == group["against"]["elo"]["skill"]
    assert exported["touchline_rps_difference", "all", "all", "base", "high"] == group["against"]["base"]["high"]
    assert exported["touchline_calibration_error_ratio", "all", "all"] == group["calibration"]["error"]
    assert exported["touchline_surprise_rps", "all", "all", "low"] == group["surprise"]["low"]
    assert ("touchline_surprise_rps", "all", "last_100", "low") not in exported
    assert exported["touchline_report_readable", "performance"] == 1


@pytest.mark.parametrize(("sharpen", "surprises"), [(1.0, False), (2.5, True)])
def test_forecasts_that_are_too_sure_are_surprised_by_results(sharpen: float, surprises: bool) -> None:
    """No reference model is needed: they promise a better RPS than they get."""
    rng = np.random.default_rng(4)
    truth = rng.dirichlet([4, 3, 3], 2000)
    p = truth**sharpen / (truth**sharpen).sum(axis=1, keepdims=True)
    outcome = (rng.random(2000)[:, None] > truth.cumsum(axis=1)[:, :2]).sum(axis=1)
    found = surprise(pd.DataFrame({"home": p[:, 0], "draw": p[:, 1], "away": p[:, 2], "outcome": outcome}))
    assert found.low is not None
    assert found.high is not None
    assert (found.low > 0) == surprises
    assert found.high > 0


def test_nothing_settled_gives_an_empty_report() -> None:
    document = performance_report(settled_rows().iloc[:0], AS_OF)
    assert document["matches"] == 0
    assert document["groups"] == document["weeks"] == []


def test_one_settled_match_is_reported_without_an_interval() -> None:
    comparison = find(performance_report(settled_rows(1), AS_OF))["against"]["base"]
    assert comparison["n"] == 1
    assert comparison["low"] is None and comparison["high"] is None


def test_the_paired_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    luck = generator.normal(0.2, 0.15, (1000, 80))
    covered = [
        (difference := paired_difference(row + generator.normal(0.01, 0.03, 80), row)).low <= 0.01 <= difference.high
        for row in luck
    ]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_wilson_intervals_are_the_published_ones() -> None:
    low, high = wilson(np.array([0.0, 5.0, 81.0]), np.array([10.0, 10.0, 263.0]))
    assert low == pytest.approx([0.0, 0.2366, 0.2553], abs=1e-4)  # the last value is from Newcombe (1998), table I
    assert high == pytest.approx([0.2775, 0.7634, 0.3662], abs=1e-4)


def test_a_reliability_curve_counts_every_forecast_once() -> None:
    p = np.array([0.0, 0.05, 0.15, 0.99, 1.0])
    curve = reliability_curve(p, np.array([0, 0, 1, 1, 1]))
    assert [interval["n"] for interval in curve] == [2, 1, 2]
    assert [interval["observed"] for interval in curve] == [0.0, 1.0, 1.0]


def test_a_perfect_model_exceeds_the_limit_1_time_in_20() -> None:
    """A perfect model stays within the limit about nineteen times in twenty."""
    samples = [settled_rows(200, seed=seed) for seed in range(40)]
    inside = [calibration(rows[list(COLUMNS)].to_numpy(), rows["outcome"].to_numpy())["consistent"] for rows in samples]
    assert 0.85 <= np.mean(inside) <= 1.0


def test_overconfidence_is_detected_on_enough_matches() -> None:
    """An overconfident model is found out once there are enough matches."""
    few, many = (find(performance_report(settled_rows(n, bias=0.5), AS_OF))["calibration"] for n in (30, 2000))
    assert few["limit"] > many["limit"]
    assert not many["consistent"]


def test_the_limit_shrinks_with_the_sample_and_is_repeatable() -> None:
    p = settled_rows(400)[list(COLUMNS)].to_numpy()
    assert calibration_limit(p, seed=3) == calibration_limit(p, seed=3)
    assert calibration_limit(p[:50]) > 2 * calibration_limit(p)
