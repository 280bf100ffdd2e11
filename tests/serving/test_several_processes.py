"""With two API processes and two worker children, every metric is the sum over all processes."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from features.io.registry import PRODUCTION
from tests.support.prometheus_samples import samples
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}


@pytest.fixture(scope="module")
def crowd(master: World, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of several processes that share a folder of metrics."""
    folder = tmp_path_factory.mktemp("crowd")
    shutil.copy(master.tracking_uri.removeprefix("sqlite:///"), folder / "mlflow.db")
    (folder / "metrics").mkdir()
    extra = {
        "TOUCHLINE_API_PROCESSES": "2",
        "TOUCHLINE_WORKER_CONCURRENCY": "2",
        "TOUCHLINE_SYNC_TIMEOUT_SECONDS": "3",
        "TOUCHLINE_MAX_QUEUE_LENGTH": "3",
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
    }
    world = World(master.lake_root, f"sqlite:///{folder}/mlflow.db")
    service = Service(world, f"{valkey}/12", f"{valkey}/15", folder, extra)
    service.start_api()
    service.start_worker()
    service.wait_ready()
    yield service
    service.stop()


def ask(service: Service, method: str, path: str, **body: Any) -> int:
    """Send a request over a new connection, so that any process may answer."""
    return httpx.request(method, service.url + path, timeout=30, **body).status_code


def scrape(service: Service) -> dict[tuple[str, ...], float]:
    return samples(httpx.get(f"{service.url}/metrics").text)


def test_every_figure_is_the_sum_over_all_processes(crowd: Service) -> None:
    wait_until(lambda: scrape(crowd)["touchline_active_workers", "ml"] == 2)
    statuses: Counter[tuple[str, int]] = Counter()
    work = (
        [("POST", "/predict", PAIR)] * 60
        + [("POST", "/predict", {**PAIR, "home_team": "Atlantis"})] * 7
        + [("POST", "/predict/batch", {"matches": [PAIR] * 10})] * 5
        + [("GET", "/predict/eng-premier-league-2025-26-nobody-nowhere", None)] * 9
    )
    with ThreadPoolExecutor(12) as pool:
        answers = pool.map(lambda request: (request[1], ask(crowd, request[0], request[1], json=request[2])), work)
        statuses.update(answers)
    assert statuses["/predict", 200] == 60
    time.sleep(3)  # each process reads the queue length once a second and may still have the old one
    later = [httpx.post(f"{crowd.url}/predict/async/", json=PAIR).json()["task_id"] for _ in range(3)]
    for task in later:
        wait_until(partial(_succeeded, crowd, task))
    assert len(list((crowd.folder / "metrics").glob("counter_*.db"))) >= 3  # both APIs and the worker have counted

    metrics = scrape(crowd)
    assert metrics["touchline_requests_total", "POST", "/predict", "200"] == 60
    assert metrics["touchline_requests_total", "POST", "/predict", "422"] == 7
    assert metrics["touchline_requests_total", "POST", "/predict/batch", "200"] == 5
    assert metrics["touchline_requests_total", "GET", "/predict/{match_id}", "404"] == 9
    assert metrics["touchline_request_duration_seconds_count", "POST", "/predict"] == 67
    assert metrics["touchline_errors_total", "invalid_input"] == 7
    assert metrics["touchline_errors_total", "not_found"] == 9
    assert _predictions(metrics) == {"sync": 60, "batch": 50, "async": 3}
    assert metrics["touchline_batch_size_matches_sum",] == 113
    assert metrics["touchline_stage_duration_seconds_count", "queue"] >= 9
    assert metrics["touchline_queue_length", "ml"] == 0
    assert metrics["touchline_active_workers", "ml"] == 2
    assert metrics["touchline_model_loaded", "match-outcome"] == 1
    assert metrics["touchline_model_version", "match-outcome"] == 1
    for _ in range(5):  # whichever process answers
        again = scrape(crowd)
        for name in ("touchline_predictions_total", "touchline_errors_total", "touchline_batch_size_matches_sum"):
            assert _series(again, name) == _series(metrics, name)


def test_a_swap_is_counted_once_by_each_child(crowd: Service) -> None:
    crowd.world.registry.set_alias(PRODUCTION, 2)

    def both_swapped() -> bool:
        with ThreadPoolExecutor(8) as pool:  # children report their swaps with their answers
            list(pool.map(lambda _: ask(crowd, "POST", "/predict", json=PAIR), range(8)))
        return scrape(crowd).get(("touchline_model_reloads_total", "success")) == 4

    wait_until(both_swapped, 60)
    wait_until(lambda: scrape(crowd)["touchline_model_version", "match-outcome"] == 2)
    assert ("touchline_model_reloads_total", "failure") not in scrape(crowd)


def test_timeouts_and_shed_requests_are_counted_by_route(crowd: Service) -> None:
    before = scrape(crowd)
    with stopped(crowd):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: ask(crowd, "POST", "/predict", json=PAIR), range(4))) == [504] * 4
        taken: Counter[int] = Counter()
        wait_until(lambda: _submit(crowd, taken) == 503)
        after = scrape(crowd)
    assert after["touchline_timeouts_total", "/predict"] == 4
    assert after["touchline_shed_requests_total", "/predict/async"] == taken[503] == 1
    assert after["touchline_errors_total", "timeout"] == 4
    assert after["touchline_errors_total", "shed"] == 1
    assert after["touchline_requests_total", "POST", "/predict/async", "503"] == 1
    assert _predictions(after) == _predictions(before)


def test_api_processes_that_are_asked_to_stop_answer_the_requests_that_they_took(crowd: Service) -> None:
    with ThreadPoolExecutor(8) as pool:
        with stopped(crowd):
            requests = [pool.submit(ask, crowd, "POST", "/predict", json=PAIR) for _ in range(8)]
            time.sleep(0.5)
            crowd.processes["api"].terminate()
            time.sleep(0.5)
        assert [request.result() for request in requests] == [200] * 8
    crowd.processes["api"].wait(60)
    crowd.start_api()
    wait_until(lambda: ask(crowd, "POST", "/predict", json=PAIR) == 200)


@contextlib.contextmanager
def stopped(service: Service) -> Iterator[None]:
    """Suspend the worker and its children."""
    main = psutil.Process(service.processes["worker"].pid)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    yield
    for process in reversed(processes):
        process.send_signal(signal.SIGCONT)


def _submit(service: Service, taken: Counter[int]) -> int:
    status = ask(service, "POST", "/predict/async/", json=PAIR)
    taken[status] += 1
    return status


def _succeeded(service: Service, task: str) -> bool:
    return bool(httpx.get(f"{service.url}/monitoring/task_status/{task}").json()["status"] == "success")


def _series(metrics: dict[tuple[str, ...], float], name: str) -> dict[tuple[str, ...], float]:
    return {key: value for key, value in metrics.items() if key[0] == name}


def _predictions(metrics: dict[tuple[str, ...], float]) -> dict[str, float]:
    """The number of predictions by mode, over all outcomes."""
    modes: defaultdict[str, float] = defaultdict(float)
    for key, value in _series(metrics, "touchline_predictions_total").items():
        modes[key[1]] += value
    return dict(modes)


def test_api_processes_that_are_given_no_folder_keep_their_metrics_together_all_the_same(
    master: World, valkey: str, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    extra = {"TOUCHLINE_API_PROCESSES": "2", "TMPDIR": str(tmp_path / "tmp")}
    alone = Service(master, f"{valkey}/12", f"{valkey}/15", tmp_path, extra)
    alone.start_api()
    try:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: ask(alone, "GET", "/competitions"), range(40))) == {200}
        for _ in range(5):
            assert scrape(alone)["touchline_requests_total", "GET", "/competitions", "200"] == 40
        (shared,) = (tmp_path / "tmp").iterdir()
        assert len(list(shared.glob("counter_*.db"))) >= 1
    finally:
        alone.stop()
    assert list((tmp_path / "tmp").iterdir()) == []
