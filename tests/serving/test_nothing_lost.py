"""What was accepted is answered, whatever is killed meanwhile: RabbitMQ, results, children, whole workers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import psutil
import pytest

from tests.serving.rabbit import SERVER, Rabbit
from tests.serving.stage import Service, World, port, wait_until
from tests.serving.store import Store

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
pytestmark = pytest.mark.rabbitmq


class Stack:
    """A RabbitMQ node, a result store, one API and workers: all of it ours to break."""

    def __init__(self, service: Service, rabbit: Rabbit, store: Store) -> None:
        self.service, self.rabbit, self.store = service, rabbit, store
        self.client = httpx.Client(base_url=service.url, timeout=40)
        self._workers = 0

    def start_worker(self) -> None:
        self._workers += 1
        self.service.start_worker(f"worker-{self._workers}")

    @property
    def worker(self) -> psutil.Process:
        return psutil.Process(self.service.processes[f"worker-{self._workers}"].pid)

    @property
    def child(self) -> psutil.Process:
        return wait_until(lambda: self.worker.children())[0]

    def kill_worker(self) -> None:
        os.killpg(self.worker.pid, signal.SIGKILL)
        self.service.processes[f"worker-{self._workers}"].wait()

    def submit(self, count: int) -> list[str]:
        answers = [self.client.post("/predict/async/", json=PAIR) for _ in range(count)]
        assert all(answer.status_code == 202 for answer in answers), answers[-1].text
        return [answer.json()["task_id"] for answer in answers]

    def statuses(self, ids: list[str]) -> list[str]:
        return [self.client.get(f"/monitoring/task_status/{one}").json().get("status", "gone") for one in ids]

    def all_succeed(self, ids: list[str], seconds: float = 150) -> None:
        wait_until(lambda: set(self.statuses(ids)) == {"success"}, seconds, 0.3)


@pytest.fixture(scope="module")
def stack(
    require: Callable[[object, str], None], master: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    require(SERVER.exists(), "RabbitMQ is not installed")
    folder = tmp_path_factory.mktemp("stack")
    rabbit, store = Rabbit(folder / "rabbit", port), Store(folder / "store")
    rabbit.start()
    store.start()
    service = Service(master, rabbit.url, f"{store.url}/0", folder)
    stack = Stack(service, rabbit, store)
    try:
        service.start_api()
        stack.start_worker()
        service.wait_ready(180)
        yield stack
    finally:
        service.stop()
        store.kill()
        rabbit.stop()


@pytest.fixture(autouse=True)
def whole(stack: Stack) -> None:
    """Each test begins with everything up."""
    stack.service.wait_ready(180)


def test_a_child_killed_in_mid_task_costs_nothing(stack: Stack) -> None:
    stack.child.suspend()  # tasks reach it and stay in its hands
    ids = stack.submit(20)
    time.sleep(0.3)
    stack.child.kill()
    stack.all_succeed(ids)


def test_a_whole_worker_killed_costs_nothing_once_there_is_another(stack: Stack) -> None:
    stack.child.suspend()
    ids = stack.submit(20)
    stack.kill_worker()
    assert set(stack.statuses(ids)) <= {"pending", "started"}
    stack.start_worker()
    stack.all_succeed(ids)


def test_a_synchronous_caller_is_answered_though_the_child_dies(stack: Stack) -> None:
    async def ask() -> list[int]:
        async with httpx.AsyncClient(base_url=stack.service.url, timeout=40) as client:
            asked = [asyncio.create_task(client.post("/predict", json=PAIR)) for _ in range(5)]
            await asyncio.sleep(0.5)
            stack.child.kill()
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    stack.child.suspend()
    assert asyncio.run(ask()) == [200] * 5


def test_rabbitmq_killed_and_back_loses_nothing_and_is_named_meanwhile(stack: Stack) -> None:
    stack.child.suspend()
    ids = stack.submit(20)
    stack.rabbit.kill()
    answer = wait_until(lambda: _unavailable(stack.client.post("/predict", json=PAIR)))
    assert answer.json()["title"] == "Broker unavailable"
    assert stack.client.post("/predict/async/", json=PAIR).status_code == 503
    assert stack.client.get("/healthcheck/").status_code == 200
    parts = stack.client.get("/healthcheck/ready").json()["parts"]
    assert not parts["broker"]["ok"]
    assert parts["results"]["ok"]
    stack.child.resume()
    stack.rabbit.start()
    stack.all_succeed(ids)
    wait_until(lambda: stack.client.post("/predict", json=PAIR).status_code == 200)


@pytest.mark.soak
def test_results_killed_when_a_result_is_due_and_back_lose_nothing(stack: Stack) -> None:
    stack.child.suspend()
    ids = stack.submit(20)
    stack.store.kill()
    stack.child.resume()
    answer = wait_until(lambda: _unavailable(stack.client.post("/predict", json=PAIR)))
    assert answer.json()["title"] == "Results unavailable"
    assert stack.client.get("/healthcheck/").status_code == 200
    parts = stack.client.get("/healthcheck/ready").json()["parts"]
    assert not parts["results"]["ok"]
    time.sleep(1)
    stack.store.start()
    stack.all_succeed(ids)
    wait_until(lambda: stack.client.post("/predict", json=PAIR).status_code == 200)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_ten_thousand_accepted_tasks_all_end_whatever_breaks_meanwhile(stack: Stack) -> None:
    ids, answers = asyncio.run(_soak(stack, 10_000))
    assert len(ids) == len(set(ids)) == 10_000
    assert set(answers) == set(ids)
    for found in answers.values():
        assert found["status"] in {"success", "failure"}
        assert found["result"] or found["error"]["detail"]
    assert sum(found["status"] == "success" for found in answers.values()) >= 9_900
    again = stack.client.get(f"/monitoring/task_status/{ids[0]}").json()
    assert again == answers[ids[0]]


async def _soak(stack: Stack, count: int) -> tuple[list[str], dict[str, Any]]:
    ids: list[str] = []
    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(base_url=stack.service.url, timeout=40, limits=limits) as client:

        async def submit() -> None:
            while len(ids) < count:
                with suppress(httpx.HTTPError):
                    answer = await client.post("/predict/async/", json=PAIR)
                    if answer.status_code == 202 and len(ids) < count:
                        ids.append(answer.json()["task_id"])
                    elif answer.status_code != 202:
                        assert answer.status_code == 503
                        await asyncio.sleep(0.2)

        async def breaking() -> None:
            for at, fault in ((0.1, _lose_child), (0.3, _lose_worker), (0.5, _lose_rabbit), (0.8, _lose_store)):
                while len(ids) < count * at:
                    await asyncio.sleep(0.05)
                await asyncio.to_thread(fault, stack)

        await asyncio.gather(breaking(), *(submit() for _ in range(16)))
        answers: dict[str, Any] = {}
        deadline = time.monotonic() + 240
        while len(answers) < count and time.monotonic() < deadline:
            open_ = [one for one in ids if one not in answers]
            for start in range(0, len(open_), 200):
                part = open_[start : start + 200]
                found = await asyncio.gather(*(client.get(f"/monitoring/task_status/{one}") for one in part))
                for one, answer in zip(part, found, strict=True):
                    if answer.status_code == 200 and answer.json()["status"] in {"success", "failure"}:
                        answers[one] = answer.json()
            await asyncio.sleep(0.5)
    return ids, answers


def _lose_child(stack: Stack) -> None:
    stack.child.kill()


def _lose_worker(stack: Stack) -> None:
    stack.kill_worker()
    stack.start_worker()


def _lose_rabbit(stack: Stack) -> None:
    stack.rabbit.kill()
    stack.rabbit.start()


def _lose_store(stack: Stack) -> None:
    stack.store.kill()
    time.sleep(0.5)
    stack.store.start()


def _unavailable(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.status_code == 503 else None
