"""Behaviour that only shows on a real RabbitMQ with several requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from redis import Redis

from serving.addresses import parse_address
from serving.api.dispatch.result_store import ResultStore
from serving.wire.queue import DEAD_LETTERS, QUEUE
from serving.wire.results import accepted_key
from serving.wire.tasks import PREDICT_COLUMNS
from tests.support.pickled_message import publish_pickle
from tests.support.rabbitmq_server import Rabbit
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def on_rabbit(
    master: World, valkey: str, rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """API and worker on RabbitMQ, results on Valkey."""
    rabbit.empty()
    service = Service(master, rabbit.url, f"{valkey}/14", tmp_path_factory.mktemp("on-rabbit"))
    service.start_api()
    service.start_worker()
    service.wait_ready()
    yield service
    service.stop()


@pytest.mark.usefixtures("on_rabbit")
def test_tasks_and_those_that_were_given_up_wait_in_quorum_queues(rabbit: Rabbit) -> None:
    queue_types = rabbit.evaluate(
        "[{element(4, amqqueue:get_name(Q)), amqqueue:get_type(Q)} || Q <- rabbit_amqqueue:list()]."
    )
    for queue in (QUEUE, DEAD_LETTERS):
        assert f'{{<<"{queue}">>,rabbit_quorum_queue}}' in "".join(queue_types.split())


def test_requests_that_come_together_with_one_idempotency_key_are_one_task(on_rabbit: Service) -> None:
    def ask(key: str) -> httpx.Response:
        return httpx.post(f"{on_rabbit.url}/predict/async/", json=PAIR, headers={"Idempotency-Key": key}, timeout=30)

    keys = [str(uuid4()) for _ in range(3)]
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, keys * 8))
    assert {answer.status_code for answer in answers} == {202}
    tasks = {key: {answer.json()["task_id"] for answer in answers[at::3]} for at, key in enumerate(keys)}
    assert all(len(ids) == 1 for ids in tasks.values())
    assert len({task for ids in tasks.values() for task in ids}) == 3
    for (task,) in tasks.values():
        status = f"{on_rabbit.url}/monitoring/task_status/{task}"
        ended = wait_until(partial(_ended, status))
        assert ended["status"] == "success"
        assert httpx.post(f"{on_rabbit.url}/predict", json=PAIR, timeout=30).status_code == 200
        assert httpx.get(status).json() == ended


def test_a_task_that_was_started_stays_so_when_its_request_comes_again(valkey: str) -> None:
    async def twice() -> None:
        results = ResultStore(parse_address("RESULTS", f"{valkey}/14"), 60)
        await results.mark_accepted("again")
        store.set(accepted_key("again"), "started", xx=True, keepttl=True)
        await results.mark_accepted("again")
        await results.close()

    store = Redis.from_url(f"{valkey}/14")
    asyncio.run(twice())
    assert store.get(accepted_key("again")) == b"started"


def test_a_pickled_message_on_rabbitmq_is_refused_and_the_worker_goes_on(on_rabbit: Service, tmp_path: Path) -> None:
    publish_pickle(on_rabbit.broker_url, PREDICT_COLUMNS, tmp_path / "loot")
    for _ in range(3):
        assert httpx.post(f"{on_rabbit.url}/predict", json=PAIR, timeout=30).status_code == 200
    assert not (tmp_path / "loot").exists()
    assert "ContentDisallowed" in (on_rabbit.folder / "worker.log").read_text()


def _ended(url: str) -> dict[str, object] | None:
    """The status of a task that has ended."""
    status: dict[str, object] = httpx.get(url).json()
    return status if status["status"] in {"success", "failure"} else None
