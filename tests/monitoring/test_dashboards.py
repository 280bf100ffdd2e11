"""Dashboards and alerts ask for what is really exported: a real Prometheus scrapes us and answers every query."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry, start_http_server

from features.io.sources import bundled
from features.io.store import Lake
from features.matches import as_known_at
from monitoring import metrics
from monitoring.drift import COLUMNS, REFERENCE_SEASONS, drift_report, measure, review
from monitoring.freshness import freshness
from monitoring.gate import Evidence, as_document, judge
from monitoring.performance import report

REPOSITORY = Path(__file__).parents[2]
DASHBOARDS = sorted((REPOSITORY / "helm" / "files" / "dashboards").glob("*.json"))
RULES = sorted((REPOSITORY / "helm" / "files" / "alerts").glob("*.yaml"))
AS_OF = bundled.REPLAY_AS_OF
OUTCOMES = ("home", "draw", "away")


def boards() -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text()) for file in DASHBOARDS}


def queries() -> list[tuple[str, str]]:
    return [
        (f"{name}: {panel['title']}", target["expr"])
        for name, board in boards().items()
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]


def rules() -> list[dict[str, Any]]:
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def selected(expression: str) -> set[str]:
    """Metric names that an expression selects."""
    names: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            names.add(str(node.name))
        for part in ("expr", "lhs", "rhs", "vector_selector", "param"):
            if (child := getattr(node, part, None)) is not None:
                walk(child)
        for child in getattr(node, "args", None) or ():
            walk(child)

    walk(promql_parser.parse(expression))
    return names


def test_there_is_a_dashboard_for_each_concern_with_unique_titles_and_uids() -> None:
    assert set(boards()) == {"service", "workers", "model", "drift", "pipeline"}
    for key in ("uid", "title"):
        assert len({board[key] for board in boards().values()}) == len(boards())
    for board in boards().values():
        titles = [panel["title"] for panel in board["panels"]]
        assert len(titles) == len(set(titles))
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_no_panel_overlaps_another_or_leaves_the_grid() -> None:
    for name, board in boards().items():
        places = [(panel["title"], panel["gridPos"]) for panel in board["panels"]]
        assert all(at["x"] >= 0 and at["x"] + at["w"] <= 24 for _, at in places)
        for (one, a), (other, b) in combinations(places, 2):
            apart = (
                a["x"] + a["w"] <= b["x"]
                or b["x"] + b["w"] <= a["x"]
                or a["y"] + a["h"] <= b["y"]
                or b["y"] + b["h"] <= a["y"]
            )
            assert apart, f"{name}: {one} lies over {other}"


def test_every_panel_asks_the_data_source_that_the_reader_chose() -> None:
    for board in boards().values():
        assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource"]
        for panel in board["panels"]:
            if panel["type"] != "row":
                assert panel["datasource"]["uid"] == "${datasource}"
                assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_every_expression_is_promql() -> None:
    for _, expression in queries():
        assert selected(expression)
    for rule in rules():
        assert selected(rule["expr"])


# -- against a real Prometheus ----------------------------------------------------------------------------------------


def settled(n: int = 150) -> pd.DataFrame:
    """A season of settled forecasts in which the model knows more than the references."""
    generator = np.random.default_rng(0)
    p = generator.dirichlet([5, 3, 4], n)
    flat = np.tile(p.mean(axis=0), (n, 1))
    y = (generator.random((n, 1)) > p.cumsum(axis=1)[:, :2]).sum(axis=1)
    rows = pd.DataFrame(p, columns=list(OUTCOMES)).assign(
        match_id=[f"m{i}" for i in range(n)],
        competition=bundled.COMPETITION,
        season="2025-26",
        kick_off=pd.date_range("2025-08-16", periods=n, freq="D", tz="UTC"),
        model_version=2,
        trained_through=pd.Timestamp("2025-05-25", tz="UTC"),
        outcome=y,
        rps=0.2,
    )
    for name, triple in (("elo", 0.5 * p + 0.5 * flat), ("base", flat), ("market", p)):
        rows[[f"{name}_{outcome}" for outcome in OUTCOMES]] = triple
    return rows


def drift_frame() -> pd.DataFrame:
    matches = bundled.load()
    frame = matches.loc[matches["season"] >= "2022-23", ["competition", "season", "kick_off"]].copy()
    values = np.random.default_rng(0).normal(size=(len(frame), len(COLUMNS)))
    return frame.assign(**dict(zip(COLUMNS, values.T, strict=True)))


def fill(lake: Lake) -> None:
    """Every document that the batch side leaves in the lake, made by what makes them."""
    matches = as_known_at(bundled.load(), AS_OF)
    forecasts = pd.DataFrame({"match_id": matches["match_id"].tail(100), "published_at": pd.Timestamp(AS_OF)})
    fresh = freshness(matches, forecasts, 90, {bundled.COMPETITION: 1}, AS_OF, datetime.now(UTC))
    lake.write_json("reports/freshness.json", fresh)
    rows = settled()
    lake.write_json("reports/performance.json", report(rows, AS_OF))
    frame = drift_frame()
    assert frame["season"].nunique() == REFERENCE_SEASONS + 1  # a reference, and too little to measure thresholds on
    summary = drift_report(frame, "2026-03-09", measure(frame)).summary
    lake.write_json("reports/drift/week=2026-03-09/summary.json", summary)
    lake.write_json("reports/drift/week=2026-03-09/review.json", review(summary, "Ada", "fine", AS_OF))
    evidence = Evidence(
        candidate=2,
        trained_through=datetime(2025, 5, 25, tzinfo=UTC),
        settled=rows,
        production=1,
        production_settled=rows.assign(home=1 / 3, draw=1 / 3, away=1 / 3),
        checks={"results.results_exist": True},
        drift=summary,
        review=None,
        as_of=AS_OF,
    )
    gate = as_document(judge(evidence), evidence.as_of)
    lake.write_json("reports/gate.json", gate | {"waiting_since": (AS_OF - timedelta(days=1)).isoformat()})
    lake.write_json("reports/promotions.json", {"promotions": [{"action": "promote", "at": AS_OF.isoformat()}]})


def drive() -> None:
    """A little of everything that a running service counts."""
    for route, method in (("/predict", "POST"), ("/predict/{match_id}", "GET")):
        metrics.observe_request(method, route, 200, 0.004)
        metrics.observe_request(method, route, 503, 0.3)
    metrics.ERRORS.labels(metrics.ErrorKind.INTERNAL).inc()
    metrics.PREDICTIONS.labels(metrics.Mode.SYNC, "home").inc()
    metrics.QUEUE_LENGTH.labels("ml").set(3)
    metrics.ACTIVE_WORKERS.labels("ml").set(1)
    metrics.observe_model("match-outcome", 2)
    for stage in metrics.Stage:
        metrics.STAGE_DURATION.labels(stage).observe(0.001)
    metrics.BATCH_SIZE.observe(4)
    metrics.TIMEOUTS.labels("/predict").inc()
    metrics.SHED.labels("/predict").inc()
    for result in ("success", "failure"):
        metrics.SWAPS.labels(result).inc()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Prometheus:
    """A real one, asked over HTTP."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"

    def get(self, path: str, **parameters: str) -> Any:
        url = f"{self._address}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def ask(self, expression: str) -> list[dict[str, Any]]:
        return list(self.get("/api/v1/query", query=expression)["result"])

    def wait_for(self, expression: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.ask(expression):
                    return
            except (urllib.error.URLError, ConnectionError):
                pass
            time.sleep(0.3)
        raise AssertionError(f"Prometheus does not answer {expression!r} after {seconds} s")


@pytest.fixture(scope="module")
def installed() -> str | None:
    return shutil.which("prometheus")


@pytest.fixture(scope="module")
def running(installed: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus | None]:
    """Prometheus with our rules, scraping everything that we export; None where it is not installed."""
    if installed is None:
        yield None
        return
    folder = tmp_path_factory.mktemp("prometheus")
    lake = Lake(str(folder / "lake"))
    fill(lake)
    drive()
    registry: CollectorRegistry = metrics.registry(metrics.BatchCollector(lake))
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    # Rules are evaluated often here, so that the recordings exist after seconds.
    groups = [group | {"interval": "1s"} for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    configuration = {
        "global": {"scrape_interval": "3s", "scrape_timeout": "3s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": "touchline", "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    process = subprocess.Popen(
        [
            installed,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
    )
    stop = threading.Event()

    def keep_driving() -> None:
        while not stop.wait(0.5):
            drive()

    driver = threading.Thread(target=keep_driving)
    driver.start()
    try:
        found = Prometheus(port)
        found.wait_for("touchline:predictions_over_50ms:ratio_rate3d >= 0")
        found.wait_for("touchline:unavailable_requests:ratio_rate3d >= 0")
        yield found
    finally:
        stop.set()
        driver.join()
        process.terminate()
        process.wait(30)
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def prometheus(running: Prometheus | None, require: Callable[[bool, str], None]) -> Prometheus:
    require(running is not None, "prometheus is not installed (Debian package prometheus)")
    assert running is not None
    return running


@pytest.mark.slow
def test_every_query_of_every_dashboard_has_an_answer(prometheus: Prometheus) -> None:
    for _, expression in queries():
        # On a busy machine a scrape may time out, and for that moment Prometheus knows nothing.
        prometheus.wait_for(expression, 30)


@pytest.mark.slow
def test_every_metric_that_a_rule_or_dashboard_names_exists(prometheus: Prometheus) -> None:
    exported = set(prometheus.get("/api/v1/label/__name__/values"))
    expressions = [expression for _, expression in queries()] + [rule["expr"] for rule in rules()]
    named = set().union(*map(selected, expressions))
    assert named <= exported, sorted(named - exported)


@pytest.mark.slow
def test_everything_we_export_is_looked_at_by_a_dashboard_or_an_alert(prometheus: Prometheus) -> None:
    exported = {name for name in prometheus.get("/api/v1/label/__name__/values") if name.startswith("touchline_")}
    expressions = [expression for _, expression in queries()] + [rule["expr"] for rule in rules()]
    named = set().union(*map(selected, expressions))
    families = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in named}
    unseen = {
        name
        for name in exported
        if name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") not in families
    }
    assert not unseen


@pytest.mark.slow
def test_prometheus_loads_every_rule_and_evaluates_it_without_error(prometheus: Prometheus) -> None:
    groups = prometheus.get("/api/v1/rules")["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    assert len(loaded) == len(rules())
    assert [rule for rule in loaded if rule["health"] == "err"] == []
