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

REPOSITORY = Path(__file__).parents[2]
ALERTS = REPOSITORY / "helm" / "files" / "alerts"
FILES = sorted(ALERTS.glob("*.yaml"))
ALL = 'touchline_requests_total{method="GET",route="/matches",status="200"}'
FAILED = 'touchline_requests_total{method="GET",route="/matches",status="503"}'
PROBES = 'touchline_requests_total{method="GET",route="/healthcheck/ready",status="503"}'
DIFFERENCE = 'touchline_rps_difference{competition="all",window="%s",reference="%s",bound="%s"}'
ENOUGH = 'touchline_scored_matches{competition="all",window="%s"}'
CALIBRATION = 'touchline_calibration_%s_ratio{competition="all",window="season"}'

Series = dict[str, str]


def latency(within_50: int, within_200: int, total: int = 100, steps: int = 900) -> Series:
    """So many synchronous predictions a minute within 50 and 200 ms."""
    name = 'touchline_request_duration_seconds_%s{method="POST",route="/predict"%s}'
    return {
        name % ("bucket", ',le="0.05"'): f"0+{within_50}x{steps}",
        name % ("bucket", ',le="0.2"'): f"0+{within_200}x{steps}",
        name % ("count", ""): f"0+{total}x{steps}",
    }


def answers(good: int, bad: int, steps: int = 900) -> Series:
    return {ALL: f"0+{good}x{steps}", FAILED: f"0+{bad}x{steps}"}


def constant(value: float, minutes: int = 3000) -> str:
    return f"{value}+0x{minutes}"


# alert -> (fires, keeps quiet, when to look, labels of the alert beside its severity)
CASES: dict[str, tuple[list[Series], list[Series], str, dict[str, str]]] = {
    "TouchlineAvailabilityBurnsFast": (
        [answers(80, 20), {ALL: "0+100x240 24000+80x59", FAILED: "0+0x240 0+20x59"}],
        [
            answers(97, 3),
            {**answers(100, 0), PROBES: "0+50x900"},
            {ALL: "0+100x100 10000+50x30 11500+100x300", FAILED: "0+0x100 0+50x30 1500+0x300"},  # over for long
        ],
        "299m",
        {},
    ),
    "TouchlineAvailabilityBurnsSlowly": ([answers(96, 4)], [answers(999, 1)], "72h", {}),
    "TouchlineTailLatencyBurnsFast": ([latency(50, 80)], [latency(90, 98), {}], "8h", {}),
    "TouchlineTailLatencyBurnsSlowly": ([latency(90, 96)], [latency(900, 995, 1000)], "72h", {}),
    "TouchlineMedianLatencyBurnsFast": ([latency(5, 100)], [latency(40, 100)], "8h", {}),
    "TouchlineMedianLatencyBurnsSlowly": ([latency(30, 100)], [latency(60, 100)], "72h", {}),
    "TouchlineUnobserved": ([{}], [{"touchline_batch_size_tasks_count": constant(0)}], "10m", {}),
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
    "TouchlineShedsRequests": (
        [{'touchline_shed_requests_total{route="/predict"}': "0+5x60"}],
        [{'touchline_shed_requests_total{route="/predict"}': "0+0x10 50+0x50"}],
        "40m",
        {},
    ),
    "TouchlineModelSwapFails": (
        [{'touchline_model_swaps_total{result="failure"}': "0+1x60"}],
        [
            {
                'touchline_model_swaps_total{result="failure"}': "0 1 2 2x60",
                'touchline_model_swaps_total{result="success"}': "1x20 2x40",
            }
        ],
        "25m",
        {},
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
            {DIFFERENCE % ("season", "elo", "low"): constant(-0.001), ENOUGH % "season": constant(200)},
            {DIFFERENCE % ("season", "elo", "mean"): constant(0.001), ENOUGH % "season": constant(200)},
        ],
        "2h",
        {"competition": "all", "window": "season", "reference": "elo"},
    ),
    "TouchlineMiscalibrated": (
        [{CALIBRATION % "error": constant(0.09), CALIBRATION % "limit": constant(0.06)}],
        [{CALIBRATION % "error": constant(0.065), CALIBRATION % "limit": constant(0.06)}],
        "2h",
        {"competition": "all", "window": "season"},
    ),
    "TouchlinePromotionWaiting": (
        [{"touchline_promotion_waiting_timestamp_seconds": constant(0)}],
        [{"touchline_promotion_waiting_timestamp_seconds": constant(86400)}, {}],
        "25h",
        {},
    ),
    "TouchlinePipelineSilent": (
        [{"touchline_pipeline_run_timestamp_seconds": constant(0)}],
        [{"touchline_pipeline_run_timestamp_seconds": constant(86400)}],
        "37h",
        {},
    ),
    "TouchlineForecastsStale": (
        [{'touchline_unforecast_fixtures_matches{competition="eng-premier-league"}': constant(10)}],
        [{'touchline_unforecast_fixtures_matches{competition="eng-premier-league"}': "10+0x300 0+0x300"}],
        "7h",
        {"competition": "eng-premier-league"},
    ),
    "TouchlineFeedSilent": (
        [{'touchline_overdue_results_matches{competition="eng-premier-league"}': constant(3)}],
        [{'touchline_overdue_results_matches{competition="eng-premier-league"}': constant(0)}],
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
}


@pytest.fixture
def promtool(require: Callable[[bool, str], None]) -> str:
    found = shutil.which("promtool")
    require(found is not None, "promtool is not installed (Debian package prometheus)")
    return str(found)


def rules() -> dict[str, dict[str, Any]]:
    return {
        rule["alert"]: rule
        for file in FILES
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def rules_behind(name: str, folder: Path) -> Path:
    """The alert with the recordings that it looks at: evaluating all the others over three days takes minutes."""
    text = rules()[name]["expr"]
    groups = [group for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]
    kept = [
        {**group, "rules": found}
        for group in groups
        if (found := [rule for rule in group["rules"] if rule.get("alert") == name or _read_by(text, rule)])
    ]
    target = folder / "rules.yaml"
    target.write_text(yaml.safe_dump({"groups": kept}))
    return target


def _read_by(text: str, rule: dict[str, Any]) -> bool:
    return "record" in rule and re.search(rf"{re.escape(rule['record'])}\b", text) is not None


def expectation(name: str, series: Series, fires: bool) -> dict[str, Any]:
    _, _, moment, labels = CASES[name]
    rule = rules()[name]
    alert = {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": rule["annotations"]}
    return {
        "name": f"{name} {'fires' if fires else 'keeps quiet'}",
        "interval": "5m" if moment == "72h" else "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [{"eval_time": moment, "alertname": name, "exp_alerts": [alert] if fires else []}],
    }


def test_promtool_accepts_every_rule_file(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", *map(str, FILES)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    assert set(CASES) == set(rules())
    assert all(fires and quiet for fires, quiet, _, _ in CASES.values())


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
