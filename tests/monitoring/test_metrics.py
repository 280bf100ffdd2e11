"""Every collector is driven and read back, alone and over several processes; batch figures come from the lake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from features.errors import StorageUnavailableError
from features.io.store import Lake
from monitoring import metrics
from monitoring.exporter import ReportCollector

REPOSITORY = Path(__file__).parents[2]
HISTORY = {"promotions": [{"action": "promote", "at": "2026-03-13T12:00:00+00:00"}]}

DRIVE_ALL = """
from monitoring import metrics as m
m.observe_request("POST", "/predict", 200, 0.004)
m.ERRORS.labels(m.ErrorKind.TIMEOUT).inc()
m.PREDICTIONS.labels(m.Mode.SYNC, "home").inc(2)
m.QUEUE_LENGTH.labels("ml").set(7)
m.ACTIVE_WORKERS.labels("ml").set(3)
m.observe_model("match-outcome", 12)
m.UNREADABLE_TABLES.labels("forecasts").set(2)
m.STAGE_DURATION.labels(m.Stage.MODEL).observe(0.0003)
m.MATCHES_PER_CALL.observe(16)
m.TIMEOUTS.labels("/predict").inc()
m.MODEL_RELOADS.labels("success").inc()
m.SHED_REQUESTS.labels("/predict").inc()
m.REFUSED_MESSAGES.labels("body").inc()
m.INVALID_RESULTS.labels("forecast").inc()
m.observe_clock_skew("worker", [1.0, -35.0])
"""


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def run(code: str, directory: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
    if directory:
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


EXPOSE = "\nprint(m.exposition(m.registry()).decode())"

EXPECTED = {
    ("touchline_requests_total", (("method", "POST"), ("route", "/predict"), ("status", "200"))): 1.0,
    ("touchline_request_duration_seconds_count", (("method", "POST"), ("route", "/predict"))): 1.0,
    ("touchline_errors_total", (("kind", "timeout"),)): 1.0,
    ("touchline_predictions_total", (("mode", "sync"), ("outcome", "home"))): 2.0,
    ("touchline_queue_length", (("queue", "ml"),)): 7.0,
    ("touchline_active_workers", (("queue", "ml"),)): 3.0,
    ("touchline_model_loaded", (("model", "match-outcome"),)): 1.0,
    ("touchline_model_version", (("model", "match-outcome"),)): 12.0,
    ("touchline_unreadable_tables", (("table", "forecasts"),)): 2.0,
    ("touchline_stage_duration_seconds_count", (("stage", "model"),)): 1.0,
    ("touchline_batch_size_matches_sum", ()): 16.0,
    ("touchline_timeouts_total", (("route", "/predict"),)): 1.0,
    ("touchline_model_reloads_total", (("result", "success"),)): 1.0,
    ("touchline_shed_requests_total", (("route", "/predict"),)): 1.0,
    ("touchline_refused_messages_total", (("kind", "body"),)): 1.0,
    ("touchline_invalid_results_total", (("kind", "forecast"),)): 1.0,
    ("touchline_clock_skew_seconds", (("process", "worker"),)): -35.0,
}


def test_every_collector_is_driven_and_read_back_in_one_process() -> None:
    values = samples(run(DRIVE_ALL + EXPOSE))
    assert {key: values.get(key) for key in EXPECTED} == EXPECTED


def test_processes_expose_sums_and_the_latest_gauge(tmp_path: Path) -> None:
    """Several processes expose the sum of each counter and the latest value of each gauge."""
    for version in (12, 13):
        run(DRIVE_ALL.replace("12", str(version)), tmp_path)
    values = samples(run("from monitoring import metrics as m" + EXPOSE, tmp_path))
    gauges = {metric.name for metric in metrics.PROCESS_REGISTRY.collect() if metric.type == "gauge"}
    for key, alone in EXPECTED.items():
        latest = 13.0 if key[0] == "touchline_model_version" else alone
        assert values[key] == (latest if key[0] in gauges else 2 * alone), key


def test_a_gauge_that_a_process_never_sets_is_not_exported_by_it(tmp_path: Path) -> None:
    """Otherwise an alert on the time since an event would see the event at the time zero."""
    gauges = {metric.name for metric in metrics.PROCESS_REGISTRY.collect() if metric.type == "gauge"}
    assert gauges
    assert not gauges & {name for name, _ in samples(run("from monitoring import metrics as m" + EXPOSE, tmp_path))}


def test_forked_children_count_into_the_same_figures(tmp_path: Path) -> None:
    code = """
import os
from monitoring import metrics as m
m.TIMEOUTS.labels("/predict").inc()
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        m.TIMEOUTS.labels("/predict").inc()
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""
    values = samples(run(code + EXPOSE, tmp_path))
    assert values["touchline_timeouts_total", (("route", "/predict"),)] == 4.0


def test_a_process_that_never_saw_a_model_says_nothing_about_it() -> None:
    values = samples(run("from monitoring import metrics as m" + EXPOSE))
    assert not [name for name, _ in values if name.startswith(("touchline_model_loaded", "touchline_model_version"))]


def test_invented_methods_and_unmatched_routes_make_no_new_labels() -> None:
    values = samples(run('from monitoring import metrics as m\nm.observe_request("BREW", None, 404, 0.1)' + EXPOSE))
    key = ("touchline_requests_total", (("method", "other"), ("route", "unmatched"), ("status", "404")))
    assert values[key] == 1.0


def test_an_empty_lake_exports_nothing_and_does_not_fail(tmp_path: Path) -> None:
    text = metrics.exposition(metrics.registry(ReportCollector(Lake(str(tmp_path))))).decode()
    assert "touchline_score_mean" not in text


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"groups": 3}', b"[]"])
def test_a_damaged_report_is_flagged_and_leaves_the_others_alone(tmp_path: Path, content: bytes) -> None:
    lake = Lake(str(tmp_path))
    lake.write_bytes("reports/performance.json", content)
    lake.write_json(
        "reports/promotions.json", {"promotions": [{"action": "promote", "at": "2026-03-13T12:00:00+00:00"}]}
    )
    values = samples(metrics.exposition(metrics.registry(ReportCollector(lake))).decode())
    assert values["touchline_report_readable", (("report", "performance"),)] == 0
    assert values["touchline_report_readable", (("report", "promotions"),)] == 1
    assert values["touchline_promotions", (("action", "promote"),)] == 1


class Away(Lake):
    """A lake whose storage does not answer."""

    reads = 0

    def read_bytes(self, path: str) -> bytes:
        self.reads += 1
        raise StorageUnavailableError(f"{path} cannot be read")

    def list(self, folder: str) -> list[str]:
        return self.read_bytes(folder)  # type: ignore[return-value]  # it raises


def test_unavailable_storage_is_tried_once_per_scrape(tmp_path: Path) -> None:
    """Unavailable storage is reported and does not affect other metrics."""
    lake = Away(str(tmp_path))
    metrics.QUEUE_LENGTH.labels("ml").set(4)
    values = samples(metrics.exposition(metrics.registry(ReportCollector(lake))).decode())
    reports = {dict(labels)["report"]: value for (name, labels), value in values.items() if name.endswith("_readable")}
    assert reports == dict.fromkeys(("freshness", "performance", "drift", "review", "gate", "promotions"), 0)
    assert values["touchline_queue_length", (("queue", "ml"),)] == 4
    assert lake.reads == 1, "every further read would wait for the same timeout"


def test_storage_that_goes_away_half_way_leaves_what_was_read(tmp_path: Path) -> None:
    class Leaving(Lake):
        def read_json(self, path: str) -> dict[str, Any]:
            if path == "reports/promotions.json":
                raise StorageUnavailableError("gone")
            return super().read_json(path)

    lake = Leaving(str(tmp_path))
    lake.write_json("reports/performance.json", {"groups": []})
    values = samples(metrics.exposition(metrics.registry(ReportCollector(lake))).decode())
    reports = {dict(labels)["report"]: value for (name, labels), value in values.items() if name.endswith("_readable")}
    assert reports == {"performance": 1, "promotions": 0}


def test_the_lake_is_read_at_most_once_per_cache_time(tmp_path: Path) -> None:
    lake, now = Lake(str(tmp_path)), [0.0]
    collector = ReportCollector(lake, cache_seconds=10, clock=lambda: now[0])

    def exported() -> bool:
        return any(family.name == "touchline_promotions" for family in collector.collect())

    assert not exported()
    lake.write_json("reports/promotions.json", HISTORY)
    now[0] = 9.9
    assert not exported()
    now[0] = 10
    assert exported()


@pytest.mark.parametrize(("digest", "exported"), [("d1", True), ("d2", False)])
def test_a_review_counts_only_for_the_report_it_was_made_of(tmp_path: Path, digest: str, exported: bool) -> None:
    lake = Lake(str(tmp_path))
    lake.write_json("reports/drift/week=2026-03-02/summary.json", {"digest": digest})
    lake.write_json("reports/drift/week=2026-03-02/review.json", {"report": "d1", "at": "2026-03-10T09:00:00+00:00"})
    names = [sample.name for family in ReportCollector(lake).collect() for sample in family.samples]
    assert ("touchline_drift_review_timestamp_seconds" in names) == exported
