"""Drift is found where it was planted, and not where there is none; few matches give no verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import InvalidInputError
from features.io.sources import bundled
from features.io.sources.football_data import parse
from features.io.store import Lake
from features.matches import OUTCOMES, outcomes
from features.matrix import FEATURE_GROUPS, GOAL_FEATURES, FeatureGroup, feature_frame
from features.models import outcome_model
from features.rating_history import compute_ratings
from features.splits import season_starts
from monitoring.drift import (
    MAX_DRIFT_P_VALUE,
    WINDOW,
    DriftCalibration,
    DriftReport,
    calibrate,
    drift_report,
    review,
    split,
)
from monitoring.exporter import ReportCollector
from serving.api.schemas.reports import DriftSummary

pytestmark = pytest.mark.medium

WEEK = "2026-03-09"
COLUMNS = (*GOAL_FEATURES, *OUTCOMES)
AS_OF = bundled.REPLAY_AS_OF


def forecast_features(matches: pd.DataFrame) -> pd.DataFrame:
    """Features of every season, with the forecasts of a model trained before the last one."""
    states = compute_ratings(matches)
    rows = feature_frame(matches, states.home, states.away)
    start = season_starts(rows["season"])
    past = (start > start.min()) & (start < start.max())
    x = rows[list(GOAL_FEATURES)].to_numpy(float)
    model = outcome_model().fit(x[past], outcomes(matches)[past])
    made = dict(zip(OUTCOMES, model.predict_proba(x).T, strict=True))
    return rows[["match_id", "competition", "season", "kick_off", *GOAL_FEATURES]].assign(as_published=False, **made)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Real seasons of the Premier League."""
    return forecast_features(bundled.load())


@pytest.fixture(scope="module")
def trust(frame: pd.DataFrame) -> DriftCalibration:
    return calibrate(frame[frame["season"] < "2025-26"], COLUMNS)


@pytest.fixture(scope="module")
def undrifted(frame: pd.DataFrame, trust: DriftCalibration) -> DriftReport:
    return drift_report(frame, WEEK, trust)


def planted(frame: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """The frame with other values in the running season."""
    running = frame["season"] == "2025-26"
    changed = frame.copy()
    for name, value in columns.items():
        changed[name] = changed[name].mask(running, value)
    return changed


def test_false_alarms_and_power_are_measured_on_real_seasons(trust: DriftCalibration) -> None:
    assert trust.seasons == (2018, 2019, 2020, 2021, 2022, 2023, 2024)
    assert trust.windows > 150
    assert trust.false_alarm_rate is not None and trust.false_alarms is not None and trust.power is not None
    # 2023/24 had more goals than any season before, and 2018/19 the fewest draws. Thresholds from the other seasons
    # detect that. The remaining five seasons raise no alarm.
    assert trust.false_alarm_rate <= 0.11
    assert [season for season, share in trust.false_alarms.items() if share > 0] == ["2018", "2023"]
    assert trust.power["a feature shifted by half of its standard deviation"] >= 0.6
    for fault, caught in trust.power.items():
        if "shifted" not in fault or fault.endswith("by its standard deviation"):
            assert caught >= 0.9, fault
    assert all(0 < threshold <= MAX_DRIFT_P_VALUE for threshold in trust.thresholds.values())


def test_measuring_twice_gives_the_same(frame: pd.DataFrame, trust: DriftCalibration) -> None:
    assert calibrate(frame[frame["season"] < "2025-26"], COLUMNS) == trust


def test_too_little_history_is_said_and_not_guessed() -> None:
    few = pd.DataFrame({"competition": "a", "season": "2024-25", "kick_off": pd.Timestamp("2025-01-01", tz="UTC")}, [0])
    calibration = calibrate(few.assign(**dict.fromkeys(COLUMNS, 0.0)), COLUMNS)
    assert calibration.false_alarm_rate is None
    assert calibration.thresholds["elo"] == pytest.approx(MAX_DRIFT_P_VALUE / len(COLUMNS))


def test_reference_is_three_seasons_window_is_100_matches(frame: pd.DataFrame) -> None:
    """The reference is the previous three seasons, and the window is the last hundred matches."""
    reference, window, excluded_competitions = split(frame[frame["kick_off"] < AS_OF])
    assert sorted(set(reference["season"])) == ["2022-23", "2023-24", "2024-25"]
    assert len(window) == WINDOW
    assert set(window["season"]) == {"2025-26"}
    assert not excluded_competitions


def test_the_season_as_it_was_is_stable(undrifted: DriftReport) -> None:
    summary = undrifted.summary
    assert summary["state"] == "stable"
    assert summary["share"] == 0
    assert summary["matches"] == WINDOW
    assert summary["method"] == "ks"
    assert {column["column"] for column in summary["columns"]} == set(COLUMNS)
    assert all(column["p_value"] > column["threshold"] for column in summary["columns"])


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
def test_planted_drift_is_found_and_named(
    frame: pd.DataFrame, trust: DriftCalibration, column: str, change: Callable[[pd.Series, float], pd.Series]
) -> None:
    values = change(frame[column], frame[column].std())
    summary = drift_report(planted(frame, **{column: values}), WEEK, trust).summary
    assert summary["state"] == "drift"
    assert summary["drifted"] == [column]


def test_a_changed_league_is_found(frame: pd.DataFrame, trust: DriftCalibration) -> None:
    even = {name: frame[name].mean() + 0.4 * (frame[name] - frame[name].mean()) for name in COLUMNS}
    summary = drift_report(planted(frame, **even), WEEK, trust).summary
    assert summary["state"] == "drift"
    assert summary["share"] >= 0.5


def test_few_matches_give_no_verdict(frame: pd.DataFrame, trust: DriftCalibration) -> None:
    loud = planted(frame, elo=50.0)
    report = drift_report(loud, "2025-09-15", trust)
    assert report.summary["state"] == "too_few_matches"
    assert report.summary["share"] is None
    assert 0 < report.summary["matches"] < WINDOW
    assert "too few matches" in report.html
    assert "a new model is promoted only after a review" in report.html


def test_matches_after_the_week_do_not_enter(
    frame: pd.DataFrame, trust: DriftCalibration, undrifted: DriftReport
) -> None:
    cut = frame[frame["kick_off"] < pd.Timestamp(AS_OF.date() + timedelta(days=3), tz="UTC")]
    assert drift_report(cut, WEEK, trust).summary == undrifted.summary


def test_page_holds_state_calibration_and_report(undrifted: DriftReport) -> None:
    """The page holds the verdict, how reliable the test is, and the report itself."""
    assert undrifted.html.count("<body>") == 1
    head = undrifted.html.split("<body>")[1][:20_000]
    assert "no drift" in head
    assert "False alarms" in head
    assert "shifted by half of its standard deviation" in head
    assert "2022-23, 2023-24, 2024-25" in head
    assert "review_drift" not in head
    assert len(undrifted.html) > 1_000_000


def test_page_names_the_drifted_column_and_the_next_step(frame: pd.DataFrame, trust: DriftCalibration) -> None:
    """The page names the column that drifted and what its reader should do."""
    moved = drift_report(planted(frame, elo=frame["elo"] + frame["elo"].std()), WEEK, trust).html
    head = moved.split("<body>")[1][:20_000]
    assert "Until then no new model is promoted" in head
    row = next(line for line in head.split("<tr") if "<td>elo</td>" in line)
    assert "bold" in row
    assert "<td>drifted</td>" in row
    gone = drift_report(planted(frame, pi=np.nan), WEEK, trust).html
    assert "<td>missing in 100%</td>" in gone


def test_the_summary_is_json_and_feeds_the_exporter(undrifted: DriftReport, tmp_path: Path) -> None:
    summary = undrifted.summary
    assert json.loads(json.dumps(summary, allow_nan=False))["digest"] == summary["digest"]
    lake = Lake(str(tmp_path))
    lake.write_json("reports/drift/week=2026-03-02/summary.json", summary | {"state": "drift", "share": 1.0})
    lake.write_json(f"reports/drift/week={WEEK}/summary.json", summary)
    lake.write_json(f"reports/drift/week={WEEK}/review.json", review(summary, "Ada", "quiet", AS_OF))
    exported = {
        (sample.name, *sample.labels.values()): sample.value
        for family in ReportCollector(lake).collect()
        for sample in family.samples
    }
    assert exported["touchline_drift_share_ratio",] == 0
    assert exported["touchline_drift_state", "stable"] == 1
    assert exported["touchline_drift_state", "drift"] == 0
    assert exported["touchline_drift_column_drifted", "elo"] == 0
    assert exported["touchline_drift_review_timestamp_seconds",] == AS_OF.timestamp()


def test_a_review_is_of_one_report_by_a_named_person(undrifted: DriftReport) -> None:
    reviewed = review(undrifted.summary, " Ada ", "quiet", AS_OF)
    assert (reviewed["week"], reviewed["report"], reviewed["by"]) == (WEEK, undrifted.summary["digest"], "Ada")
    for by, note in (("", "quiet"), ("Ada", " ")):
        with pytest.raises(InvalidInputError):
            review(undrifted.summary, by, note, AS_OF)


def with_another_league(frame: pd.DataFrame, running: int, seasons: tuple[str, ...] = ()) -> pd.DataFrame:
    """Add a second league, quite unlike the first, with `running` matches of the running season and earlier seasons."""
    other = frame[frame["season"].isin([*seasons, "2025-26"])]
    before = other[other["season"] != "2025-26"]
    rows = pd.concat([before, other[other["season"] == "2025-26"].head(running)])
    unlike = {name: 3 + rows[name] for name in GOAL_FEATURES}
    return pd.concat([frame, rows.assign(competition="eng-championship", **unlike)])


def test_a_league_with_few_matches_is_left_out_and_named(frame: pd.DataFrame, trust: DriftCalibration) -> None:
    report = drift_report(with_another_league(frame, 40, ("2023-24", "2024-25")), WEEK, trust)
    assert report.summary["excluded_competitions"] == {"eng-championship": {"matches": 40, "reference": 760}}
    assert report.summary["competitions"] == ["eng-premier-league"]
    assert report.summary["matches"] == WINDOW
    assert "eng-championship is excluded: it has 40 matches" in report.html
    read_back = json.loads(json.dumps(report.summary))
    assert (
        DriftSummary.model_validate(read_back).excluded_competitions["eng-championship"].matches == 40
    )  # as the API returns it


def test_a_new_league_is_not_compared_with_another_one(
    frame: pd.DataFrame, trust: DriftCalibration, undrifted: DriftReport
) -> None:
    """A league without earlier seasons is not compared with another league."""
    summary = drift_report(with_another_league(frame, 200), WEEK, trust).summary
    assert summary["excluded_competitions"] == {"eng-championship": {"matches": 200, "reference": 0}}
    assert summary["state"] == "stable"
    assert summary["columns"] == undrifted.summary["columns"]


def test_each_league_has_the_same_share_of_reference_and_window(frame: pd.DataFrame, trust: DriftCalibration) -> None:
    two = with_another_league(frame, 290, ("2024-25",))
    reference, window, excluded_competitions = split(two[two["kick_off"] < AS_OF])
    assert not excluded_competitions
    assert window["competition"].value_counts().to_dict() == {"eng-premier-league": 100, "eng-championship": 100}
    assert reference["competition"].value_counts().to_dict() == {"eng-premier-league": 380, "eng-championship": 380}
    assert set(reference.loc[reference["competition"] == "eng-premier-league", "season"]) == {
        "2022-23",
        "2023-24",
        "2024-25",
    }
    assert drift_report(two, WEEK, trust).summary["state"] == "stable", "two unlike leagues are no drift"


def test_the_columns_watched_are_those_that_are_asked_for(frame: pd.DataFrame) -> None:
    columns = (*FEATURE_GROUPS[FeatureGroup.SHOTS], *OUTCOMES)
    noise = np.random.default_rng(0).normal(size=(len(frame), len(columns)))
    with_shots = frame.assign(**dict(zip(columns, noise.T, strict=True)))
    measured = calibrate(with_shots[with_shots["season"] < "2025-26"], columns)
    assert tuple(measured.thresholds) == columns
    stuck = planted(with_shots, log_home_shots=0.3)
    assert drift_report(stuck, WEEK, measured).summary["drifted"] == ["log_home_shots"]


def test_digest_ignores_the_order_of_thresholds(
    frame: pd.DataFrame, trust: DriftCalibration, undrifted: DriftReport
) -> None:
    """Reports that differ only in the order of their thresholds have the same digest."""
    backwards = DriftCalibration(**{**asdict(trust), "thresholds": dict(reversed(trust.thresholds.items()))})
    assert drift_report(frame, WEEK, backwards).summary["digest"] == undrifted.summary["digest"]


def test_the_page_tells_how_many_forecasts_are_as_published(frame: pd.DataFrame, trust: DriftCalibration) -> None:
    some = frame.assign(as_published=frame["kick_off"].between("2026-03-01", "2026-03-07"))
    report = drift_report(some, WEEK, trust)
    published = report.summary["as_published"]
    assert 0 < published < WINDOW
    assert f"Of the forecasts in the window, {published} were published by the version in production" in report.html


@pytest.mark.shared
def test_false_alarms_and_power_of_two_real_leagues(shared_data: Path) -> None:
    """England and Germany, 2012/13 to 2023/24."""
    leagues = {"E0": "eng-premier-league", "D1": "ger-bundesliga"}
    matches = pd.concat(
        parse(path.read_bytes(), path.name, slug, f"20{path.stem[3:5]}-{path.stem[5:]}", division)[0]
        for division, slug in leagues.items()
        for path in sorted((shared_data / "footballdata").glob(f"{division}_[12]*.csv"))
        if path.stem[3:5] >= "12"
    ).sort_values(["kick_off", "match_id"], ignore_index=True)
    both = calibrate(forecast_features(matches), COLUMNS)
    assert both.windows > 150
    assert both.false_alarm_rate is not None and both.power is not None
    assert both.false_alarm_rate <= 0.05
    assert both.power["a feature shifted by half of its standard deviation"] >= 0.9
    assert both.power["a broken feed of one competition of 2: a feature stuck at one value"] >= 0.9


def test_trust_goes_through_json(trust: DriftCalibration) -> None:
    assert asdict(DriftCalibration(**json.loads(json.dumps(asdict(trust))))) == asdict(trust) | {
        "seasons": list(trust.seasons)
    }
