"""Every accepted request is answered, whichever process is killed: RabbitMQ, Redis, child, worker or API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest

from features.io.registry import PRODUCTION
from tests.support.mlflow_server import Tracking
from tests.support.openapi_assertions import documented
from tests.support.prometheus_samples import samples
from tests.support.rabbitmq_server import SERVER, Rabbit
from tests.support.redis_server import Store
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
RECOVERY = 30.0
"""Seconds within which the service recovers after a fault."""
STARTING = 90.0
"""The same if a worker has to be started first."""
pytestmark = pytest.mark.rabbitmq


class Stack:
    """RabbitMQ, result store, registry, lake, one API and workers, all of which a test may break."""

    def __init__(self, service: Service, rabbit: Rabbit, store: Store, tracking: Tracking) -> None:
        self.service, self.rabbit, self.store, self.tracking = service, rabbit, store, tracking
        self.client = httpx.Client(base_url=service.url, timeout=40)
        self.gate = service.folder / "gate"
        self._workers = 0

    def start_worker(self) -> None:
        self._workers += 1
        self.service.start_worker(f"worker-{self._workers}", "tests.support.blocking_worker")

    @property
    def worker(self) -> psutil.Process:
        return psutil.Process(self.service.processes[f"worker-{self._workers}"].pid)

    @property
    def child(self) -> psutil.Process:
        return wait_until(lambda: self.worker.children())[0]

    def kill_worker(self) -> None:
        os.killpg(self.worker.pid, signal.SIGKILL)
        self.service.processes[f"worker-{self._workers}"].wait()

    def log(self, name: str | None = None) -> str:
        return (self.service.folder / f"{name or f'worker-{self._workers}'}.log").read_text()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Every model call pauses halfway until the context ends."""
        self.gate.touch()
        try:
            yield
        finally:
            self.gate.unlink()
            self.gate.with_suffix(".entered").unlink(missing_ok=True)

    def in_a_call(self) -> None:
        """Return when a child is in the middle of a call."""
        wait_until(self.gate.with_suffix(".entered").exists)

    def submit(self, count: int) -> list[str]:
        answers = [self.client.post("/predict/async/", json=PAIR) for _ in range(count)]
        assert all(answer.status_code == 202 for answer in answers), answers[-1].text
        return [answer.json()["task_id"] for answer in answers]

    def statuses(self, ids: list[str]) -> list[str]:
        return [self.client.get(f"/monitoring/task_status/{task_id}").json().get("status", "gone") for task_id in ids]

    def all_succeed(self, ids: list[str], seconds: float) -> None:
        wait_until(lambda: set(self.statuses(ids)) == {"success"}, seconds, 0.3)

    def answers_again(self, seconds: float = RECOVERY) -> None:
        wait_until(lambda: self.client.post("/predict", json=PAIR).status_code == 200, seconds)

    def scrape(self) -> dict[str, float]:
        """The metrics of the queue and of the workers."""
        metrics = samples(self.client.get("/metrics").text)
        names = {"queue_length": "ml", "active_workers": "ml", "model_loaded": "match-outcome"}
        return {name: metrics[f"touchline_{name}", label] for name, label in names.items()}

    def unready(self, part: str) -> dict[str, Any]:
        """Check that the API is alive and not ready because of the part; return all parts."""
        assert self.client.get("/healthcheck/").status_code == 200
        answer = self.client.get("/healthcheck/ready")
        assert answer.status_code == 503
        parts = answer.json()["parts"]
        assert not parts[part]["ok"]
        return parts


@pytest.fixture(scope="module")
def stack(
    require: Callable[[object, str], None], master: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    require(SERVER.exists(), "RabbitMQ is not installed")
    folder = tmp_path_factory.mktemp("stack")
    world = master.copy_to(folder)
    rabbit = Rabbit(folder / "rabbit")
    store = Store(folder / "store", shutil.which("redis-server"))  # if it is not installed, the embedded Valkey
    tracking = Tracking(world.tracking_uri, folder)
    extra = {"TOUCHLINE_TEST_GATE": str(folder / "gate")}
    service = Service(tracking.seen_from(world), rabbit.url, f"{store.url}/0", folder, extra)
    stack = Stack(service, rabbit, store, tracking)
    try:
        rabbit.start()
        store.start()
        tracking.start()
        service.start_api()
        stack.start_worker()
        service.wait_ready()
        yield stack
    finally:
        service.stop()
        tracking.kill()
        store.kill()
        rabbit.stop()


@pytest.fixture(autouse=True)
def whole(stack: Stack) -> None:
    """Each test begins with everything up."""
    stack.service.wait_ready()


def test_a_child_killed_in_the_middle_of_a_call_costs_nothing(stack: Stack) -> None:
    lost = stack.log().count("WorkerLostError")
    with stack.held():
        ids = stack.submit(20)
        stack.in_a_call()
        assert "started" in stack.statuses(ids)
        stack.child.kill()
    stack.all_succeed(ids, RECOVERY)
    assert stack.log().count("WorkerLostError") > lost


def test_a_whole_worker_killed_in_the_middle_of_a_call_costs_nothing_once_there_is_another(stack: Stack) -> None:
    with stack.held():
        ids = stack.submit(20)
        stack.in_a_call()
        assert "started" in stack.statuses(ids)
        stack.kill_worker()
        assert set(stack.statuses(ids)) == {"pending", "started"}
    wait_until(lambda: stack.client.get("/healthcheck/ready").status_code == 503)
    assert stack.unready("workers")["broker"]["ok"]
    wait_until(lambda: stack.scrape() == {"queue_length": 20, "active_workers": 0, "model_loaded": 0})
    answer = stack.client.post("/predict", json=PAIR)
    assert (answer.status_code, answer.json()["title"]) == (503, "No worker")
    stack.start_worker()
    stack.all_succeed(ids, STARTING)


def test_synchronous_callers_are_answered_though_the_child_dies_with_their_task(stack: Stack) -> None:
    def kill() -> None:
        stack.in_a_call()
        stack.child.kill()

    assert asyncio.run(_answers_meanwhile(stack, 5, kill)) == ["forecast"] * 5


async def _answers_meanwhile(stack: Stack, count: int, harm: Callable[[], None]) -> list[str]:
    """The outcomes of requests that were in a model call while harm was done: `forecast` or an error detail."""
    async with httpx.AsyncClient(base_url=stack.service.url, timeout=40) as client:
        with stack.held():
            requests = [asyncio.create_task(client.post("/predict", json=PAIR)) for _ in range(count)]
            await asyncio.to_thread(harm)
        answers = [answer.json() for answer in await asyncio.gather(*requests)]
    return ["forecast" if "probabilities" in answer else answer["detail"] for answer in answers]


@pytest.mark.slow
def test_a_worker_that_is_asked_to_stop_finishes_what_it_took_and_leaves_the_rest_to_the_next(stack: Stack) -> None:
    first = f"worker-{stack._workers}"
    before = _answered(stack.log(first))
    ids: list[str] = []

    def stop() -> None:
        stack.in_a_call()
        time.sleep(0.5)  # the synchronous requests are admitted before the queue is long enough to shed them
        ids.extend(stack.submit(200))
        stack.worker.terminate()
        time.sleep(0.5)

    answers = asyncio.run(_answers_meanwhile(stack, 20, stop))
    assert stack.service.processes[first].wait(60) == 0
    mine = _answered(stack.log(first)) - before
    stack.start_worker()
    assert answers == ["forecast"] * 20
    stack.all_succeed(ids, STARTING)
    assert mine >= 64  # all tasks that it had received, not only those of the running call
    wait_until(lambda: mine + _answered(stack.log()) == 220)  # and no task ran twice


def _answered(log: str) -> int:
    lines = [json.loads(line) for line in log.splitlines() if '"tasks.executed"' in line]
    return sum(len(line["request_ids"]) for line in lines)


def test_an_api_that_is_asked_to_stop_answers_the_requests_that_it_took(stack: Stack) -> None:
    def stop() -> None:
        stack.in_a_call()
        time.sleep(0.5)
        stack.service.processes["api"].terminate()
        time.sleep(0.5)

    ids = stack.submit(20)
    try:
        assert asyncio.run(_answers_meanwhile(stack, 20, stop)) == ["forecast"] * 20
        stack.service.processes["api"].wait(60)
    finally:
        stack.service.start_api()
    stack.all_succeed(ids, RECOVERY)


@pytest.mark.parametrize("stop", [Rabbit.kill, Rabbit.shut_down])
def test_rabbitmq_stopped_and_started_again_loses_nothing_and_is_named_meanwhile(
    stack: Stack, stop: Callable[[Rabbit], None]
) -> None:
    with stack.held():
        ids = stack.submit(20)
        stack.in_a_call()
        stop(stack.rabbit)
        answer = wait_until(lambda: _unavailable(stack.client.post("/predict", json=PAIR)))
        assert documented(stack.service.url, "/predict", answer).json()["title"] == "Broker unavailable"
        assert stack.client.post("/predict/async/", json=PAIR).status_code == 503
        assert stack.unready("broker")["results"]["ok"]
        assert samples(stack.client.get("/metrics").text)["touchline_errors_total", "broker_unavailable"] >= 2
    stack.rabbit.start()
    stack.answers_again()
    stack.all_succeed(ids, RECOVERY)


def test_results_killed_when_a_result_is_due_and_back_lose_nothing_and_are_named_meanwhile(stack: Stack) -> None:
    with stack.held():
        ids = stack.submit(20)
        stack.in_a_call()
        stack.store.kill()
    answer = wait_until(lambda: _unavailable(stack.client.post("/predict", json=PAIR)))
    assert documented(stack.service.url, "/predict", answer).json()["title"] == "Results unavailable"
    assert stack.unready("results")["broker"]["ok"]
    time.sleep(1)
    stack.store.start()
    stack.answers_again()
    stack.all_succeed(ids, RECOVERY)


def _unavailable(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.status_code == 503 else None


# -- all faults at once -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "count", [2_000, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])], ids=str
)
@pytest.mark.exclusive
def test_of_thousands_of_accepted_tasks_each_ends_once_whatever_breaks_meanwhile(stack: Stack, count: int) -> None:
    started = time.monotonic()
    ids = asyncio.run(_under_faults(stack, count))
    assert len(set(ids)) == len(ids) >= count
    answers = asyncio.run(_all_ended(stack, ids))
    assert asyncio.run(_all_ended(stack, ids)) == answers  # byte for byte
    statuses = [json.loads(answer) for answer in answers.values()]
    failures = [status["error"]["detail"] for status in statuses if status["status"] == "failure"]
    assert all(failures)
    assert len(failures) <= count / 100, failures
    forecasts = [status["result"] for status in statuses if status["status"] == "success"]
    first_forecasts: dict[tuple[str, int], Any] = {}
    for forecast in forecasts:  # one version gives all callers the same forecast of a match
        key = forecast["match_id"], forecast["model"]["version"]
        first = first_forecasts.setdefault(key, forecast)
        assert first["probabilities"] == pytest.approx(forecast["probabilities"], abs=1e-9)
    assert {version for _, version in first_forecasts} == {1, 2}
    print(f"{count:,} tasks under {len(FAULTS)} faults: {time.monotonic() - started:.0f} s, {len(failures)} failures")


async def _under_faults(stack: Stack, count: int) -> list[str]:
    """Submit tasks, an equal share around each fault; return the accepted ids. Rejections must have a reason."""
    ids: list[str] = []
    clubs = [club["name"] for club in stack.client.get("/teams").json()["items"]]
    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(base_url=stack.service.url, timeout=40, limits=limits) as client:

        async def submit(until: int) -> None:
            while len(ids) < until:
                home, away = len(ids) % len(clubs), (len(ids) // len(clubs) + 1 + len(ids)) % len(clubs)
                if home == away:
                    away = (away + 1) % len(clubs)
                body = {"home_team": clubs[home], "away_team": clubs[away]}
                with contextlib.suppress(httpx.HTTPError):
                    answer = await client.post("/predict/async/", json=body)
                    if answer.status_code == 202:
                        ids.append(answer.json()["task_id"])
                    else:
                        assert answer.status_code == 503, answer.text
                        assert answer.json()["detail"]
                        await asyncio.sleep(0.1)

        async def harm(fault: Callable[[Stack], None], since: int) -> None:
            while len(ids) < since:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(fault, stack)

        share = -(-count // len(FAULTS))
        for number, fault in enumerate(FAULTS):
            begun, until = number * share, (number + 1) * share
            await asyncio.gather(harm(fault, begun + share // 3), *(submit(until) for _ in range(16)))
    return ids


async def _all_ended(stack: Stack, ids: list[str]) -> dict[str, bytes]:
    """Wait until all tasks have ended and return their final status documents."""
    answers: dict[str, bytes] = {}
    deadline = time.monotonic() + 120
    async with httpx.AsyncClient(base_url=stack.service.url, timeout=40, headers={"X-Request-ID": "soak"}) as client:
        while len(answers) < len(ids) and time.monotonic() < deadline:
            open_ = [task_id for task_id in ids if task_id not in answers]
            for start in range(0, len(open_), 50):
                part = open_[start : start + 50]
                requests = [client.get(f"/monitoring/task_status/{task_id}") for task_id in part]
                responses = await asyncio.gather(*requests)
                for task_id, answer in zip(part, responses, strict=True):
                    assert answer.status_code == 200, answer.text  # no task vanishes
                    if answer.json()["status"] in {"success", "failure"}:
                        answers[task_id] = answer.content
            await asyncio.sleep(0.2)
    assert set(answers) == set(ids)
    return answers


def _child(stack: Stack) -> None:
    stack.child.kill()


def _worker(stack: Stack) -> None:
    stack.kill_worker()
    stack.start_worker()


def _worker_stopped(stack: Stack) -> None:
    stopped = stack.worker
    stack.start_worker()
    stopped.terminate()


def _rabbit(stack: Stack) -> None:
    stack.rabbit.kill()
    stack.rabbit.start()


def _rabbit_stopped(stack: Stack) -> None:
    stack.rabbit.shut_down()
    stack.rabbit.start()


def _store(stack: Stack) -> None:
    stack.store.kill()
    time.sleep(0.5)
    stack.store.start()


def _promotion(stack: Stack) -> None:
    """Promote a version while the registry hangs for a second."""
    stack.service.world.registry.set_alias(PRODUCTION, 2)
    stack.tracking.hang()
    time.sleep(1)
    stack.tracking.go_on()
    wait_until(lambda: _version(stack.client.post("/predict", json=PAIR)) == 2, 15)


def _version(answer: httpx.Response) -> int | None:
    return answer.json()["model"]["version"] if answer.status_code == 200 else None


def _lake(stack: Stack) -> None:
    files = list(stack.service.world.lake_root.rglob("*.parquet"))
    whole = {file: file.read_bytes() for file in files}
    for number, (file, content) in enumerate(whole.items()):
        if number % 2:
            file.write_bytes(content[: len(content) // 2])
        else:
            file.unlink()
    time.sleep(1.5)
    for file, content in whole.items():
        file.write_bytes(content)


FAULTS = (_child, _worker, _rabbit, _promotion, _store, _rabbit_stopped, _lake, _worker_stopped)
