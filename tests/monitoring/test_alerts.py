"""Every alert fires when it should and keeps quiet when it should, as promtool runs the rules."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.performance import CALIBRATION_ALARM_FACTOR, RECENT_MATCHES

REPOSITORY = Path(__file__).parents[2]
ALERTS = REPOSITORY / "helm" / "files" / "alerts"
FILES = sorted(ALERTS.glob("*.yaml"))
ALL = 'touchline_requests_total{method="GET",route="/matches",status="200"}'
FAILED = 'touchline_requests_total{method="GET",route="/matches",status="503"}'
PROBES = 'touchline_requests_total{method="GET",route="/healthcheck/ready",status="503"}'
SURPRISE = 'touchline_surprise_rps{competition="all",window="season",bound="low"}'
DIFFERENCE = 'touchline_rps_difference{competition="all",window="%s",reference="%s",bound="%s"}'
ENOUGH = 'touchline_scored_matches{competition="all",window="%s"}'
CALIBRATION = 'touchline_calibration_%s_ratio{competition="all",window="season"}'
UNFORECAST, STALE, OVERDUE, UNLISTED = (
    f'touchline_{name}{{competition="eng-premier-league"}}'
    for name in ("fixtures_without_forecast", "forecasts_stale", "results_overdue", "fixtures_missing")
)

OBJECTIVES = ("Availability", "TailLatency", "MedianLatency")

Series = dict[str, str]


Segment = tuple[int, float, int]
"""Minutes, the share of bad requests in them, and the traffic as a multiple of the usual."""


def counted(segments: list[Segment], bad: bool, step: int) -> str:
    """A counter of bad or of all requests in promtool's notation, with a sample every `step` minutes."""
    total, parts = 0.0, ["0"]
    for minutes, share, traffic in segments:
        grows = 1000.0 * traffic * step * (share if bad else 1)
        parts.append(f"{total + grows:.3f}+{grows:.3f}x{minutes // step - 1}")
        total += grows * (minutes // step)
    return " ".join(parts)


def availability(segments: list[Segment], step: int) -> Series:
    good = [(minutes, 1 - share, traffic) for minutes, share, traffic in segments]
    return {ALL: counted(good, True, step), FAILED: counted(segments, True, step)}


def latency(seconds: str) -> Callable[[list[Segment], int], Series]:
    """Series of synchronous predictions; those answered within `seconds` are good."""

    def series(segments: list[Segment], step: int) -> Series:
        name = 'touchline_request_duration_seconds_%s{method="POST",route="/predict"%s}'
        good = [(minutes, 1 - share, traffic) for minutes, share, traffic in segments]
        return {
            name % ("bucket", f',le="{seconds}"'): counted(good, True, step),
            name % ("count", ""): counted(segments, False, step),
        }

    return series


def burns(
    name: str, series: Callable[[list[Segment], int], Series], shares: tuple[float, ...], never: list[Series]
) -> dict[str, Any]:
    """Cases that each depend on a single pair of windows, so that a missing clause, or half of one, is noticed.

    `shares` has one value for each of the four limits, from the fastest burn to the slowest: a little above the limit
    and below the next higher one. The series `never` must not raise the alert either.
    """
    hot, warm, mild, low = shares
    fast = (
        [[(420, 0, 1), (60, hot, 1)], [(480, warm, 1)]],
        [
            [(420, 0, 3), (50, hot, 3), (10, 0, 1)],  # an hour that was bad and is over
            [(120, 0, 1), (300, 1.2 * warm, 1), (60, 0, 1)],  # six hours that were bad and are over
            [(452, 0, 1), (28, hot, 1)],  # too short so far: it may soon be over
            [(480, 0.9 * mild, 1)],
        ],
    )
    slow = (
        [[(2880, 0, 10), (1440, 1.3 * mild, 1)], [(4320, low, 1)]],
        [
            [(1520, 0, 1), (2400, 1.5 * mild, 1), (400, 0, 1)],  # days that were bad and are over
            [(3960, 0, 1), (360, 1.5 * mild, 1)],  # too short so far: it may be over by tonight
            [(4320, 0.8 * low, 1)],
        ],
    )
    return {
        f"{name}{speed}": (
            [series(segments, step) for segments in fires],
            [*(series(segments, step) for segments in quiet), *never],
            eval_time,
            {},
        )
        for speed, (fires, quiet), step, eval_time in (("FastBurn", fast, 1, "8h"), ("SlowBurn", slow, 5, "72h"))
    }


def constant(value: float, minutes: int = 3000) -> str:
    return f"{value}+0x{minutes}"


def feed(unlisted: int, days_since_result: int) -> Series:
    """A feed without overdue matches, seen by a pipeline that stands in 2027."""
    return {
        OVERDUE: constant(0),
        UNLISTED: constant(unlisted),
        "touchline_pipeline_as_of_timestamp_seconds": constant(1_800_000_000),
        'touchline_result_timestamp_seconds{competition="eng-premier-league"}': constant(
            1_800_000_000 - days_since_result * 86400
        ),
    }


def calibrated(error: float, limit: float, matches: int) -> Series:
    figures = {CALIBRATION % "error": constant(error), CALIBRATION % "limit": constant(limit)}
    return figures | {ENOUGH % "season": constant(matches)}


# alert -> (series that raise it, series that do not, evaluation time, its labels other than severity). promtool starts
# `time()` at 0, so a timestamp that stays `constant(0)` has the age of the evaluation time.
CASES: dict[str, tuple[list[Series], list[Series], str, dict[str, str]]] = {
    **burns(
        "TouchlineAvailability",
        availability,
        (0.2, 0.08, 0.05, 0.012),
        [{ALL: "0+500x900", PROBES: "0+500x900"}],
    ),
    **burns("TouchlineTailLatency", latency("0.2"), (0.2, 0.08, 0.05, 0.012), [{}]),
    **burns("TouchlineMedianLatency", latency("0.05"), (1.0, 0.8, 0.66, 0.55), [{}]),
    "TouchlineTargetsDown": (
        [
            {},
            {"touchline_batch_size_matches_count": constant(5), 'touchline_errors_total{kind="internal"}': constant(1)},
        ],
        [{PROBES: constant(1)}],
        "10m",
        {},
    ),
    "TouchlineModelNotLoaded": (
        [{'touchline_model_loaded{model="match-outcome"}': constant(0)}],
        [
            {'touchline_model_loaded{model="match-outcome"}': "1+0x10 0+0x2 1+0x20"},
            {
                'touchline_model_loaded{model="match-outcome",pod="a"}': constant(0),
                'touchline_model_loaded{model="match-outcome",pod="b"}': constant(1),
            },
        ],
        "15m",
        {"model": "match-outcome"},
    ),
    "TouchlineNoWorkers": (
        [{'touchline_active_workers{queue="ml"}': constant(0)}],
        [{'touchline_active_workers{queue="ml"}': constant(2)}],
        "5m",
        {"queue": "ml"},
    ),
    "TouchlineQueueStuck": (
        [{'touchline_queue_length{queue="ml"}': "5+10x60"}],
        [
            {'touchline_queue_length{queue="ml"}': "600-10x60"},
            {'touchline_queue_length{queue="ml"}': "0 3 0 5 0 9 0x50"},
        ],
        "30m",
        {"queue": "ml"},
    ),
    "TouchlineLoadShedding": (
        [{'touchline_shed_requests_total{route="/predict"}': "0+5x60"}],
        [{'touchline_shed_requests_total{route="/predict"}': "0+0x10 50+0x50"}],
        "40m",
        {},
    ),
    "TouchlineModelReloadFailing": (
        [{'touchline_model_reloads_total{result="failure"}': "0+1x60"}],
        [
            {
                'touchline_model_reloads_total{result="failure"}': "0 1 2 2x60",
                'touchline_model_reloads_total{result="success"}': "1x20 2x40",
            }
        ],
        "25m",
        {},
    ),
    "TouchlineMessagesRefused": (
        [{'touchline_refused_messages_total{kind="body"}': "0 0 3x60"}],
        [
            {'touchline_refused_messages_total{kind="unknown_task"}': "0+1x60"},
            {'touchline_refused_messages_total{kind="body"}': constant(3)},
        ],
        "10m",
        {"kind": "body"},
    ),
    "TouchlineResultsInvalid": (
        [{'touchline_invalid_results_total{kind="forecast"}': "0 0 1x60"}],
        [{'touchline_invalid_results_total{kind="forecast"}': constant(1)}],
        "10m",
        {"kind": "forecast"},
    ),
    "TouchlineClockSkew": (
        [{'touchline_clock_skew_seconds{process="worker"}': constant(-35)}],
        [{'touchline_clock_skew_seconds{process="worker"}': constant(0.4)}],
        "15m",
        {"process": "worker"},
    ),
    "TouchlineDrift": (
        [{'touchline_drift_state{state="drift"}': constant(1)}],
        [
            {'touchline_drift_state{state="drift"}': constant(0)},
            {
                'touchline_drift_state{state="drift"}': constant(1),
                "touchline_drift_review_timestamp_seconds": constant(1_773_000_000),
            },
        ],
        "2h",
        {},
    ),
    "TouchlineDriftReportStale": (
        [
            {
                "touchline_pipeline_as_of_timestamp_seconds": constant(1_800_000_000),
                "touchline_drift_week_timestamp_seconds": constant(1_800_000_000 - 16 * 86400),
            }
        ],
        [
            {
                "touchline_pipeline_as_of_timestamp_seconds": constant(1_800_000_000),
                "touchline_drift_week_timestamp_seconds": constant(1_800_000_000 - 10 * 86400),
            }
        ],
        "2h",
        {},
    ),
    "TouchlineBelowBaseRate": (
        [{DIFFERENCE % ("season", "base", "mean"): constant(0.01), ENOUGH % "season": constant(100)}],
        [
            {DIFFERENCE % ("season", "base", "mean"): constant(0.01), ENOUGH % "season": constant(60)},
            {DIFFERENCE % ("season", "base", "mean"): constant(-0.03), ENOUGH % "season": constant(200)},
        ],
        "2h",
        {"competition": "all", "window": "season", "reference": "base"},
    ),
    "TouchlineBelowPlainElo": (
        [{DIFFERENCE % ("season", "elo", "low"): constant(0.001), ENOUGH % "season": constant(200)}],
        [
            {DIFFERENCE % ("season", "elo", "low"): constant(0.001), ENOUGH % "season": constant(99)},
            {DIFFERENCE % ("season", "elo", "low"): constant(-0.001), ENOUGH % "season": constant(200)},
            {DIFFERENCE % ("season", "elo", "mean"): constant(0.001), ENOUGH % "season": constant(200)},
        ],
        "2h",
        {"competition": "all", "window": "season", "reference": "elo"},
    ),
    "TouchlineMiscalibrated": (
        [calibrated(0.09, 0.06, 100)],
        [calibrated(0.065, 0.06, 100), calibrated(0.09, 0.06, 99)],
        "2h",
        {"competition": "all", "window": "season"},
    ),
    "TouchlineSurprisingResults": (
        [{SURPRISE: constant(0.002), ENOUGH % "season": constant(100)}],
        [
            {SURPRISE: constant(-0.002), ENOUGH % "season": constant(100)},
            {SURPRISE: constant(0.002), ENOUGH % "season": constant(99)},
        ],
        "2h",
        {"competition": "all", "window": "season"},
    ),
    "TouchlinePromotionWaiting": (
        [{"touchline_promotion_waiting_timestamp_seconds": constant(0)}],
        [{"touchline_promotion_waiting_timestamp_seconds": constant(86400)}, {}],
        "25h",
        {},
    ),
    "TouchlineProductionUndecided": (
        [{"touchline_production_undecided": constant(1)}],
        [{"touchline_production_undecided": constant(0)}, {}],
        "10m",
        {},
    ),
    "TouchlinePipelineStalled": (
        [{"touchline_pipeline_run_timestamp_seconds": constant(0)}, {PROBES: constant(1)}],
        [{"touchline_pipeline_run_timestamp_seconds": constant(86400), PROBES: constant(1)}, {}],
        "38h",
        {},
    ),
    "TouchlineForecastsStale": (
        [{UNFORECAST: constant(10)}, {UNFORECAST: constant(0), STALE: constant(3)}],
        [{UNFORECAST: "10+0x200 0+0x400", STALE: "0+0x400 4+0x200"}],  # lasts three hours, then twenty minutes
        "7h",
        {"competition": "eng-premier-league"},
    ),
    "TouchlineSourceStale": (
        [
            {OVERDUE: constant(3)},
            feed(unlisted=100, days_since_result=22),
            feed(unlisted=0, days_since_result=121),
        ],
        [
            {OVERDUE: constant(0)},
            feed(unlisted=100, days_since_result=20),
            feed(unlisted=0, days_since_result=100),
        ],
        "13h",
        {"competition": "eng-premier-league"},
    ),
    "TouchlineRowsQuarantined": (
        [{'touchline_quarantined_rows{competition="eng-premier-league"}': constant(2)}],
        [{'touchline_quarantined_rows{competition="eng-premier-league"}': constant(0)}],
        "2h",
        {"competition": "eng-premier-league"},
    ),
    "TouchlineReportUnreadable": (
        [{'touchline_report_readable{report="gate"}': constant(0)}],
        [{'touchline_report_readable{report="gate"}': constant(1)}],
        "1h",
        {"report": "gate"},
    ),
    "TouchlineTableUnreadable": (
        [{'touchline_unreadable_tables{table="forecasts"}': constant(1)}],
        [{'touchline_unreadable_tables{table="forecasts"}': constant(0)}],
        "1h",
        {"table": "forecasts"},
    ),
}


@pytest.fixture
def promtool(require: Callable[[bool, str], None]) -> str:
    path = shutil.which("promtool")
    require(path is not None, "promtool is not installed (Debian package prometheus)")
    return str(path)


def rules() -> dict[str, dict[str, Any]]:
    return {
        rule["alert"]: rule
        for file in FILES
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def rules_behind(name: str, folder: Path) -> Path:
    """The alert with the recordings that it reads; evaluating all others over three days takes minutes."""
    text = rules()[name]["expr"]
    groups = [group for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]
    needed_groups = [
        {**group, "rules": needed_rules}
        for group in groups
        if (needed_rules := [rule for rule in group["rules"] if rule.get("alert") == name or _read_by(text, rule)])
    ]
    target = folder / "rules.yaml"
    target.write_text(yaml.safe_dump({"groups": needed_groups}))
    return target


def _read_by(text: str, rule: dict[str, Any]) -> bool:
    return "record" in rule and re.search(rf"{re.escape(rule['record'])}\b", text) is not None


def expectation(name: str, series: Series, fires: bool) -> dict[str, Any]:
    _, _, eval_time, labels = CASES[name]
    rule = rules()[name]
    alert = {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": rule["annotations"]}
    return {
        "name": f"{name} {'fires' if fires else 'keeps quiet'}",
        "interval": "5m" if eval_time == "72h" else "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": eval_time, "alertname": name, "exp_alerts": [alert] if fires else []}],
    }


@pytest.mark.medium
def test_promtool_accepts_every_rule_file(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", *map(str, FILES)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    assert set(CASES) == set(rules())
    assert all(fires and quiet for fires, quiet, _, _ in CASES.values())


def test_there_is_an_alert_for_each_way_to_go_wrong() -> None:
    """Without this test, nobody would miss an alert that is deleted together with its case."""
    burning = {f"{goal}{pace}Burn" for goal in OBJECTIVES for pace in ("Fast", "Slow")}
    batch = {
        *("SourceStale", "ForecastsStale", "Drift", "DriftReportStale", "BelowBaseRate", "BelowPlainElo"),
        *("Miscalibrated", "PromotionWaiting", "PipelineStalled", "RowsQuarantined", "ReportUnreadable"),
        *("TableUnreadable", "ProductionUndecided", "SurprisingResults"),
    }
    service = {"ModelNotLoaded", "NoWorkers", "QueueStuck", "TargetsDown", "LoadShedding", "ModelReloadFailing"}
    service |= {"MessagesRefused", "ResultsInvalid", "ClockSkew"}
    assert {f"Touchline{name}" for name in burning | batch | service} == set(rules())
    for name in burning:
        windows = set(re.findall(r"ratio_rate(\w+)", rules()[f"Touchline{name}"]["expr"]))
        assert len(windows) >= 2, f"{name} looks at {windows}: a long window alone fires late, a short one at nothing"


@pytest.mark.medium
@pytest.mark.parametrize("name", CASES)
def test_it_fires_when_it_should_and_only_then(name: str, promtool: str, tmp_path: Path) -> None:
    fires, quiet, _, _ = CASES[name]
    document = {
        "rule_files": [str(rules_behind(name, tmp_path))],
        "evaluation_interval": "5m" if CASES[name][2] == "72h" else "1m",
        "tests": [
            *(expectation(name, series, True) for series in fires),
            *(expectation(name, series, False) for series in quiet),
        ],
    }
    file = tmp_path / "rules_test.yaml"
    file.write_text(yaml.safe_dump(document))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_and_alarms_on_performance_have_the_same_limits() -> None:
    judged = {name: rules()[name]["expr"] for name in ("TouchlineBelowBaseRate", "TouchlineBelowPlainElo")}
    judged["TouchlineMiscalibrated"] = rules()["TouchlineMiscalibrated"]["expr"]
    for name, text in judged.items():
        assert re.search(rf"\(touchline_scored_matches\) >= {RECENT_MATCHES}$", text), name
    assert f"> {CALIBRATION_ALARM_FACTOR} * max by" in judged["TouchlineMiscalibrated"]


def test_every_alert_says_what_it_means_and_where_to_read_on() -> None:
    listed = (ALERTS / "README.md").read_text()
    for name, rule in rules().items():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        assert rule["annotations"]["runbook_url"] == f"helm/README.md#{name.lower()}"
        assert f"| {name} | {rule['labels']['severity']} | `#{name.lower()}` |" in listed


def test_the_runbook_has_a_heading_for_every_alert(require: Callable[[bool, str], None]) -> None:
    runbook = REPOSITORY / "helm" / "README.md"
    require(runbook.exists(), "helm/README.md is not there")
    headings = {
        line.lstrip("#").strip().strip("`").lower() for line in runbook.read_text().splitlines() if line.startswith("#")
    }
    assert {name.lower() for name in rules()} <= headings
