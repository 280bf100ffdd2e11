"""Drift is found where it was planted, and not where there is none; few matches give no verdict."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import InvalidInput
from features.io.sources import bundled
from features.io.store import Lake
from features.matches import OUTCOMES, outcomes
from features.matrix import GOAL_FEATURES, feature_frame
from features.models import outcome_model
from features.replay import replay
from features.splits import season_starts
from monitoring.drift import CAP, COLUMNS, WINDOW, Report, Trust, drift_report, measure, review, split
from monitoring.metrics import BatchCollector

WEEK = "2026-03-09"
AS_OF = bundled.REPLAY_AS_OF


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Real features of every season, with the forecasts of a model trained before the last one."""
    matches = bundled.load()
    states = replay(matches)
    rows = feature_frame(matches, states.home, states.away)
    start = season_starts(rows["season"])
    past = (start > start.min()) & (start < start.max())
    x = rows[list(GOAL_FEATURES)].to_numpy(float)
    model = outcome_model().fit(x[past], outcomes(matches)[past])
    return rows.assign(**dict(zip(OUTCOMES, model.predict_proba(x).T, strict=True)))


@pytest.fixture(scope="module")
def trust(frame: pd.DataFrame) -> Trust:
    return measure(frame[frame["season"] < "2025-26"])


@pytest.fixture(scope="module")
def undrifted(frame: pd.DataFrame, trust: Trust) -> Report:
    return drift_report(frame, WEEK, trust)


def planted(frame: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """The running season with other values."""
    running = frame["season"] == "2025-26"
    changed = frame.copy()
    for name, value in columns.items():
        changed[name] = changed[name].mask(running, value)
    return changed


def test_false_alarms_and_power_are_measured_on_real_seasons(trust: Trust) -> None:
    assert trust.seasons == (2018, 2019, 2020, 2021, 2022, 2023, 2024)
    assert trust.windows > 150
    assert trust.false_alarm_rate is not None and trust.false_alarms is not None and trust.power is not None
    # 2023/24 had more goals than any season before, and 2018/19 the fewest draws: thresholds made from the other
    # seasons see that. In the other five seasons nobody is called.
    assert trust.false_alarm_rate <= 0.11
    assert [season for season, share in trust.false_alarms.items() if share > 0] == ["2018", "2023"]
    assert trust.power["a feature shifted by half of its standard deviation"] >= 0.6
    for fault, caught in trust.power.items():
        if "shifted" not in fault or fault.endswith("by its standard deviation"):
            assert caught >= 0.9, fault
    assert all(0 < threshold <= CAP for threshold in trust.thresholds.values())


def test_measuring_twice_gives_the_same(frame: pd.DataFrame, trust: Trust) -> None:
    assert measure(frame[frame["season"] < "2025-26"]) == trust


def test_too_little_history_is_said_and_not_guessed() -> None:
    few = pd.DataFrame({"competition": "a", "season": "2024-25", "kick_off": pd.Timestamp("2025-01-01", tz="UTC")}, [0])
    one = measure(few.assign(**dict.fromkeys(COLUMNS, 0.0)))
    assert one.false_alarm_rate is None
    assert one.thresholds["elo"] == pytest.approx(CAP / len(COLUMNS))


def test_the_reference_is_the_three_seasons_before_and_the_window_the_last_hundred_matches(frame: pd.DataFrame) -> None:
    reference, window, left_out = split(frame[frame["kick_off"] < AS_OF])
    assert sorted(set(reference["season"])) == ["2022-23", "2023-24", "2024-25"]
    assert len(window) == WINDOW
    assert set(window["season"]) == {"2025-26"}
    assert not left_out


def test_the_season_as_it_was_is_stable(undrifted: Report) -> None:
    summary = undrifted.summary
    assert summary["state"] == "stable"
    assert summary["share"] == 0
    assert summary["matches"] == WINDOW
    assert summary["method"] == "ks"
    assert {one["column"] for one in summary["columns"]} == set(COLUMNS)
    assert all(one["p_value"] > one["threshold"] for one in summary["columns"])


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("elo", lambda old, sd: old + sd),
        ("draw", lambda old, sd: old + sd),
        ("pi", lambda old, sd: old * 0 + 0.3),
        ("elo", lambda old, sd: old.where(np.arange(len(old)) % 2 == 0, 0.0)),
        ("log_home_goals", lambda old, sd: old * np.nan),
    ],
    ids=["shifted feature", "shifted forecasts", "stuck feed", "half a feed", "missing feed"],
)
def test_planted_drift_is_found_and_named(frame: pd.DataFrame, trust: Trust, column: str, change: object) -> None:
    values = change(frame[column], frame[column].std())  # type: ignore[operator]
    summary = drift_report(planted(frame, **{column: values}), WEEK, trust).summary
    assert summary["state"] == "drift"
    assert summary["drifted"] == [column]


def test_a_changed_league_is_found(frame: pd.DataFrame, trust: Trust) -> None:
    even = {name: frame[name].mean() + 0.4 * (frame[name] - frame[name].mean()) for name in COLUMNS}
    summary = drift_report(planted(frame, **even), WEEK, trust).summary
    assert summary["state"] == "drift"
    assert summary["share"] >= 0.5


def test_few_matches_give_no_verdict(frame: pd.DataFrame, trust: Trust) -> None:
    loud = planted(frame, elo=50.0)
    one = drift_report(loud, "2025-09-15", trust)
    assert one.summary["state"] == "too_few_matches"
    assert one.summary["share"] is None
    assert 0 < one.summary["matches"] < WINDOW
    assert "too few matches" in one.html


def test_matches_after_the_week_do_not_enter(frame: pd.DataFrame, trust: Trust, undrifted: Report) -> None:
    cut = frame[frame["kick_off"] < pd.Timestamp(AS_OF.date() + timedelta(days=3), tz="UTC")]
    assert drift_report(cut, WEEK, trust).summary == undrifted.summary


def test_the_page_holds_the_verdict_its_trust_and_the_report_itself(undrifted: Report) -> None:
    assert undrifted.html.count("<body>") == 1
    head = undrifted.html.split("<body>")[1][:20_000]
    assert "no drift" in head
    assert "False alarms" in head
    assert "shifted by half of its standard deviation" in head
    assert "2022-23, 2023-24, 2024-25" in head
    assert len(undrifted.html) > 1_000_000


def test_the_summary_is_json_and_feeds_the_exporter(undrifted: Report, tmp_path: Path) -> None:
    summary = undrifted.summary
    assert json.loads(json.dumps(summary, allow_nan=False))["digest"] == summary["digest"]
    lake = Lake(str(tmp_path))
    lake.write_json("reports/drift/week=2026-03-02/summary.json", summary | {"state": "drift", "share": 1.0})
    lake.write_json(f"reports/drift/week={WEEK}/summary.json", summary)
    lake.write_json(f"reports/drift/week={WEEK}/review.json", review(summary, "Ada", "quiet", AS_OF))
    exported = {
        (sample.name, *sample.labels.values()): sample.value
        for family in BatchCollector(lake).collect()
        for sample in family.samples
    }
    assert exported["touchline_drift_share_ratio",] == 0
    assert exported["touchline_drift_state", "stable"] == 1
    assert exported["touchline_drift_state", "drift"] == 0
    assert exported["touchline_drift_column_drifted", "elo"] == 0
    assert exported["touchline_drift_review_timestamp_seconds",] == AS_OF.timestamp()


def test_a_review_is_of_one_report_by_a_named_person(undrifted: Report) -> None:
    one = review(undrifted.summary, " Ada ", "quiet", AS_OF)
    assert (one["week"], one["report"], one["by"]) == (WEEK, undrifted.summary["digest"], "Ada")
    for by, note in (("", "quiet"), ("Ada", " ")):
        with pytest.raises(InvalidInput):
            review(undrifted.summary, by, note, AS_OF)


def test_a_league_with_few_matches_is_left_out_and_named(frame: pd.DataFrame, trust: Trust) -> None:
    small = frame[frame["season"] == "2025-26"].head(40).assign(competition="eng-championship")
    summary = drift_report(pd.concat([frame, small]), WEEK, trust).summary
    assert summary["left_out"] == {"eng-championship": 40}
    assert summary["competitions"] == ["eng-premier-league"]
    assert summary["matches"] == WINDOW


def test_trust_goes_through_json(trust: Trust) -> None:
    assert asdict(Trust(**json.loads(json.dumps(asdict(trust))))) == asdict(trust) | {"seasons": list(trust.seasons)}
