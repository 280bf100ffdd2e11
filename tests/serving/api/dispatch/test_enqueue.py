"""What the API does with a task's id before and after the queue has the task."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aio_pika
import httpx
import orjson
import pytest
from redis import Redis

from serving.api.api_keys import create
from serving.api.app import create_app
from serving.api.dispatch.broker import DEAD_LETTERS, DELIVERY_LIMIT, QUEUE, Message, RabbitMQ
from serving.api.dispatch.coalescing import Caller
from serving.api.dispatch.dispatcher import Desk
from serving.api.dispatch.result_store import WORKERS, Results, result_key
from serving.errors import BrokerUnavailable, ResultsUnavailable
from serving.settings import ServingSettings
from serving.worker.execution import PREDICT
from tests.support.fakes import FakeBroker
from tests.support.predictor_helpers import FIXTURE
from tests.support.rabbitmq_server import Rabbit
from tests.support.redis_server import Store

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
MESSAGE = Message("0" * 36, "serving.predict", [{}], None, {})


class Api:
    """The application on a result store, without processes and without a lake."""

    def __init__(self, results_url: str, folder: Path, failures: int = 0) -> None:
        made = [create(name) for name in ("one", "two")]
        self.keys = [key for key, _ in made]
        (folder / "keys").write_text("\n".join(line for _, line in made))
        self.broker = FakeBroker(failures)
        settings = ServingSettings(api_keys_file=folder / "keys", lake=str(folder / "lake"))
        self.app = create_app(settings)
        self.app.state.catalogue = SimpleNamespace(fixture=lambda *_: FIXTURE)
        self.results = Results(results_url, 60)
        self.app.state.desk = Desk(settings, self.broker, self.results)  # type: ignore[arg-type]  # stands in for one

    async def call(self, method: str, path: str, owner: int = 0, **arguments: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"X-API-Key": self.keys[owner], **arguments.pop("headers", {})}
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=headers, **arguments)

    async def submit(self, key: str, owner: int = 0) -> httpx.Response:
        return await self.call("POST", "/predict/async/", owner, json=PAIR, headers={"Idempotency-Key": key})


@pytest.fixture
def store(valkey: str) -> Iterator[str]:
    """An empty database of the result store."""
    url = f"{valkey}/12"
    yield url
    Redis.from_url(url).flushdb()


@pytest.mark.anyio
async def test_a_key_whose_task_never_reached_the_queue_puts_it_there_when_it_comes_again(
    store: str, tmp_path: Path
) -> None:
    api = Api(store, tmp_path, failures=1)
    assert (await api.submit("k")).status_code == 500
    again = await api.submit("k")
    assert again.status_code == 202
    assert [message.task_id for message in api.broker.messages] == [again.json()["task_id"]]
    assert (await api.submit("k")).json() == again.json()
    assert len(api.broker.messages) == 1
    await api.results.close()


@pytest.mark.anyio
async def test_owners_of_api_keys_do_not_share_idempotency_keys(store: str, tmp_path: Path) -> None:
    api = Api(store, tmp_path)
    first, second = await api.submit("k", 0), await api.submit("k", 1)
    assert first.json()["task_id"] != second.json()["task_id"]
    await api.results.close()


@pytest.mark.anyio
@pytest.mark.parametrize("task_id", ["1", "A" * 36, "x" * 2000])
async def test_an_id_that_no_task_can_have_is_unknown(store: str, tmp_path: Path, task_id: str) -> None:
    answer = await Api(store, tmp_path).call("GET", f"/monitoring/task_status/{task_id}")
    assert answer.status_code == 404
    assert len(answer.content) < 1000


@pytest.mark.anyio
async def test_workers_that_are_gone_are_forgotten(store: str) -> None:
    plain = Redis.from_url(store)
    for name, age in (("alive", 0), ("gone", 60)):
        seen_at = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
        plain.hset(WORKERS, name, orjson.dumps({"name": name, "seen_at": seen_at}))
    results = Results(store, 60)
    assert [one["name"] for one in await results.workers()] == ["alive"]
    assert plain.hkeys(WORKERS) == [b"alive"]
    await results.close()


@pytest.mark.anyio
async def test_a_channel_that_closes_under_a_task_means_that_the_broker_is_away() -> None:
    class Exchange:
        async def publish(self, *_: Any, **__: Any) -> None:
            raise aio_pika.exceptions.ChannelInvalidStateError("closed")

    broker = RabbitMQ("amqp://127.0.0.1:1")
    broker._exchange, broker._channel = Exchange(), SimpleNamespace(is_closed=False)  # type: ignore[assignment]  # stand in for them
    with pytest.raises(BrokerUnavailable):
        await broker.publish(MESSAGE)


@pytest.mark.rabbitmq
@pytest.mark.anyio
async def test_a_task_without_a_queue_is_refused_and_the_next_one_finds_a_new_queue(rabbit: Rabbit) -> None:
    broker = RabbitMQ(rabbit.url)
    await broker.publish(MESSAGE)
    async with await aio_pika.connect(rabbit.url) as connection, connection.channel() as channel:
        await channel.queue_delete(QUEUE)
    with pytest.raises(BrokerUnavailable, match="no queue"):
        await broker.publish(MESSAGE)
    await broker.publish(MESSAGE)
    depths = {depth.name: depth.messages for depth in await broker.depths()}
    assert depths[QUEUE] == 1
    assert DEAD_LETTERS in depths  # with what other tests left there
    await broker.close()


async def _stays() -> bool:
    return False


@pytest.mark.rabbitmq
@pytest.mark.anyio
async def test_a_task_that_ended_every_worker_is_reported_as_failed_and_why(
    rabbit: Rabbit, store: str, tmp_path: Path
) -> None:
    api = Api(store, tmp_path)
    broker = RabbitMQ(rabbit.url)
    desk = Desk(ServingSettings(), broker, api.results)
    api.app.state.desk = desk
    await desk.look()
    async with await aio_pika.connect(rabbit.url) as connection, connection.channel() as channel:
        await (await channel.get_queue(QUEUE)).purge()
    task_id = await desk.submit(FIXTURE, Caller("/predict/async/", "request", _stays), PREDICT)
    async with await aio_pika.connect(rabbit.url) as connection, connection.channel() as channel:
        queue = await channel.get_queue(QUEUE)
        for _ in range(DELIVERY_LIMIT + 1):  # as a worker's death does
            letter = await queue.get(timeout=5)
            assert letter is not None
            await letter.reject(requeue=True)
        assert await queue.get(fail=False) is None
    for _ in range(50):
        await desk.look()
        if any(depth.name == DEAD_LETTERS and depth.messages for depth in desk.depths):
            break
        await asyncio.sleep(0.1)
    assert (await api.call("GET", f"/monitoring/task_status/{task_id}")).json()["status"] == "pending"
    await desk._bury()
    told = (await api.call("GET", f"/monitoring/task_status/{task_id}")).json()
    assert told["status"] == "failure"
    assert "every worker" in told["error"]["detail"]
    assert (DEAD_LETTERS, 0) in [(depth.name, depth.messages) for depth in await broker.depths()]
    await broker.close()
    await api.results.close()


@pytest.mark.anyio
async def test_a_task_that_has_a_result_is_not_given_up(store: str) -> None:
    results = Results(store, 60)
    Redis.from_url(store).set(result_key("a"), b"answered")
    await results.give_up("a")
    assert await results.status("a") == (b"answered", None)
    await results.close()


@pytest.mark.anyio
async def test_a_task_that_expired_before_a_worker_had_it_is_told_for_as_long_as_it_could_have_run(
    store: str, tmp_path: Path
) -> None:
    results = Results(store, 1)
    api = Api(store, tmp_path)
    await results.accept("0" * 36)
    await asyncio.sleep(1.2)
    assert (await api.call("GET", f"/monitoring/task_status/{'0' * 36}")).json()["status"] == "pending"
    await results.close()
    await api.results.close()


@pytest.mark.anyio
async def test_no_caller_may_wait_before_the_subscription_is_confirmed_and_one_that_was_lost_is_caught_up(
    tmp_path: Path,
) -> None:
    server = Store(tmp_path)
    server.start()
    results = Results(server.url, 60)
    results.start()
    try:
        with pytest.raises(ResultsUnavailable):
            results.expect(results.new_task_id())
        await _soon(results.ping)
        task_id = results.new_task_id()
        future = results.expect(task_id)
        server.kill()
        await asyncio.sleep(0.3)
        server.start()
        Redis.from_url(server.url).set(result_key(task_id), b"answer")  # stored, and announced to nobody
        assert await asyncio.wait_for(future, 10) == b"answer"
    finally:
        await results.close()
        server.kill()


async def _soon(call: Callable[[], Awaitable[None]]) -> None:
    for _ in range(100):
        with contextlib.suppress(ResultsUnavailable):
            return await call()
        await asyncio.sleep(0.05)
    raise AssertionError("not within 5 s")
