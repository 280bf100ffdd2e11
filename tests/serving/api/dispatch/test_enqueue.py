"""What the API does with the id of a task before and after it is published."""

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
import pytest
from redis import Redis

from features.errors import TouchlineError
from serving.addresses import parse_address
from serving.api.api_keys import create
from serving.api.app import create_app
from serving.api.dispatch.broker import RabbitMQBroker
from serving.api.dispatch.dispatcher import Dispatcher
from serving.api.dispatch.requests import ClientRequest
from serving.api.dispatch.result_store import ResultStore
from serving.errors import (
    BrokerUnavailableError,
    IncompatibleWorkerError,
    ResultsUnavailableError,
    TaskFailedError,
)
from serving.settings import ServingSettings
from serving.wire.limits import MAX_DELIVERIES
from serving.wire.messages import Message
from serving.wire.queue import DEAD_LETTERS, QUEUE
from serving.wire.results import result_key
from serving.wire.worker_status import WORKER_REGISTRY_KEY, WorkerStatus, encode_status
from tests.support.fakes import FakeBroker
from tests.support.predictor_helpers import FIXTURE
from tests.support.rabbitmq_server import Rabbit
from tests.support.redis_server import Store

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
MESSAGE = Message("0" * 36, "serving.predict", [{}], None, {})


class Api:
    """The application with a real result store, but without worker processes and a lake."""

    def __init__(self, results_url: str, folder: Path, error: Exception | None = None) -> None:
        made = [create(name) for name in ("one", "two")]
        self.keys = [key for key, _ in made]
        (folder / "keys").write_text("\n".join(line for _, line in made))
        self.broker = FakeBroker(error)
        settings = ServingSettings(api_keys_file=folder / "keys", lake=str(folder / "lake"))
        self.app = create_app(settings)
        self.app.state.catalogue = SimpleNamespace(resolve_fixture=lambda *_: FIXTURE)
        self.results = ResultStore(parse_address("RESULTS", results_url), 60)
        self.app.state.dispatcher = Dispatcher(settings, self.broker, self.results)

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
async def test_a_key_whose_task_was_not_published_publishes_it_again(store: str, tmp_path: Path) -> None:
    api = Api(store, tmp_path, error=RuntimeError("the process ends here"))
    assert (await api.submit("k")).status_code == 500
    (lost,) = api.broker.published
    api.broker.error = None
    again = await api.submit("k")
    assert again.status_code == 202
    assert [message.task_id for message in api.broker.published[1:]] == [again.json()["task_id"]] == [lost.task_id]
    assert (await api.submit("k")).json() == again.json()
    assert len(api.broker.published) == 2
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
        status = WorkerStatus(name=name, pid=1, seen_at=datetime.now(UTC) - timedelta(seconds=age))
        plain.hset(WORKER_REGISTRY_KEY, name, encode_status(status))
    results = ResultStore(parse_address("RESULTS", store), 60)
    assert [worker.name for worker in await results.workers()] == ["alive"]
    assert plain.hkeys(WORKER_REGISTRY_KEY) == [b"alive"]
    await results.close()


@pytest.mark.anyio
async def test_a_channel_that_closes_means_that_the_broker_is_away() -> None:
    class Exchange:
        async def publish(self, *_: Any, **__: Any) -> None:
            raise aio_pika.exceptions.ChannelInvalidStateError("closed")

    broker = RabbitMQBroker(parse_address("BROKER", "amqp://127.0.0.1:1"))
    broker._exchange, broker._channel = Exchange(), SimpleNamespace(is_closed=False)  # type: ignore[assignment]  # test doubles
    with pytest.raises(BrokerUnavailableError):
        await broker.publish(MESSAGE)


@pytest.mark.rabbitmq
@pytest.mark.anyio
async def test_a_task_without_a_queue_fails_and_the_next_declares_it(rabbit: Rabbit) -> None:
    broker = RabbitMQBroker(parse_address("BROKER", rabbit.url))
    await broker.publish(MESSAGE)
    async with await aio_pika.connect(rabbit.url) as connection, connection.channel() as channel:
        await channel.queue_delete(QUEUE)
    with pytest.raises(BrokerUnavailableError, match="no queue"):
        await broker.publish(MESSAGE)
    await broker.publish(MESSAGE)
    lengths = {queue.name: queue.messages for queue in await broker.queue_stats()}
    assert lengths[QUEUE] == 1
    assert DEAD_LETTERS in lengths  # may hold messages of other tests
    await broker.close()


async def _stays() -> bool:
    return False


@pytest.mark.rabbitmq
@pytest.mark.anyio
async def test_no_task_fails_while_a_node_closes_its_connections(rabbit: Rabbit) -> None:
    """A node that is drained closes connections on which tasks wait for their confirmation; others are there."""
    broker = RabbitMQBroker(parse_address("BROKER", rabbit.url))
    close = '[rabbit_networking:close_connection(P, "maintenance") || P <- rabbit_networking:local_connections()].'
    closed = asyncio.get_running_loop().run_in_executor(None, lambda: [rabbit.evaluate(close) for _ in range(3)])
    published = 0

    async def publish_until_closed() -> None:
        nonlocal published
        while not closed.done():
            await broker.publish(MESSAGE)
            published += 1

    try:
        await asyncio.gather(*(publish_until_closed() for _ in range(8)))
        assert published > 100
        assert any("ok" in output for output in await closed)  # a connection was there to be closed
    finally:
        await closed
        await broker.close()
        rabbit.empty()


@pytest.mark.rabbitmq
@pytest.mark.anyio
async def test_a_dead_letter_is_stored_as_a_failure_with_its_reason(rabbit: Rabbit, store: str, tmp_path: Path) -> None:
    api = Api(store, tmp_path)
    broker = RabbitMQBroker(parse_address("BROKER", rabbit.url))
    dispatcher = Dispatcher(ServingSettings(), broker, api.results)
    api.app.state.dispatcher = dispatcher
    await dispatcher.poll_broker()
    async with await aio_pika.connect(rabbit.url) as connection, connection.channel() as channel:
        await (await channel.get_queue(QUEUE)).purge()
    task_id = await dispatcher.enqueue(FIXTURE, ClientRequest("/predict/async/", "request", _stays))
    async with await aio_pika.connect(rabbit.url) as connection, connection.channel() as channel:
        queue = await channel.get_queue(QUEUE)
        for _ in range(MAX_DELIVERIES + 1):  # as when a worker dies
            letter = await queue.get(timeout=5)
            assert letter is not None
            await letter.reject(requeue=True)
        assert await queue.get(fail=False) is None
    for _ in range(50):
        await dispatcher.poll_broker()
        if any(queue.name == DEAD_LETTERS and queue.messages for queue in dispatcher.queues):
            break
        await asyncio.sleep(0.1)
    assert (await api.call("GET", f"/monitoring/task_status/{task_id}")).json()["status"] == "pending"
    await dispatcher.supervise_once()
    status = (await api.call("GET", f"/monitoring/task_status/{task_id}")).json()
    assert status["status"] == "failure"
    assert "every worker" in status["error"]["detail"]
    assert (DEAD_LETTERS, 0) in [(queue.name, queue.messages) for queue in await broker.queue_stats()]
    await broker.close()
    await api.results.close()


@pytest.mark.rabbitmq
@pytest.mark.anyio
async def test_a_task_that_a_worker_of_another_version_rejected_is_told_from_a_crash(rabbit: Rabbit) -> None:
    broker = RabbitMQBroker(parse_address("BROKER", rabbit.url))
    failures: dict[str, TouchlineError] = {}

    async def store_failure(task_id: str, error: TouchlineError) -> None:
        failures[task_id] = error

    await broker.publish(MESSAGE)
    async with await aio_pika.connect(rabbit.url) as connection, connection.channel() as channel:
        foreign = aio_pika.Message(b"{}", correlation_id="foreign")  # sent by another program, without Celery's headers
        await channel.default_exchange.publish(foreign, QUEUE)
        queue = await channel.get_queue(QUEUE)
        while (message := await queue.get(timeout=5, fail=False)) is not None:
            if message.correlation_id in {MESSAGE.task_id, "foreign"}:
                await message.reject(requeue=False)  # as Celery does with an unregistered task
            else:  # left by another test
                await message.ack()
    for _ in range(50):
        await broker.drain_dead_letters(store_failure)
        if {MESSAGE.task_id, "foreign"} <= failures.keys():
            break
        await asyncio.sleep(0.1)
    assert isinstance(failures[MESSAGE.task_id], IncompatibleWorkerError)
    assert MESSAGE.task in str(failures[MESSAGE.task_id])
    assert isinstance(failures["foreign"], IncompatibleWorkerError)
    await broker.close()


@pytest.mark.anyio
async def test_a_task_with_a_result_is_not_marked_as_failed(store: str) -> None:
    results = ResultStore(parse_address("RESULTS", store), 60)
    Redis.from_url(store).set(result_key("a"), b"answered")
    await results.store_failure("a", TaskFailedError("every worker exited"))
    assert await results.status("a") == (b"answered", None)
    await results.close()


@pytest.mark.anyio
async def test_an_expired_task_is_known_for_as_long_as_it_could_run(store: str, tmp_path: Path) -> None:
    results = ResultStore(parse_address("RESULTS", store), 1)
    api = Api(store, tmp_path)
    await results.mark_accepted("0" * 36)
    await asyncio.sleep(1.2)
    assert (await api.call("GET", f"/monitoring/task_status/{'0' * 36}")).json()["status"] == "pending"
    await results.close()
    await api.results.close()


@pytest.mark.anyio
async def test_results_missed_by_the_subscription_are_fetched(
    tmp_path: Path,
) -> None:
    server = Store(tmp_path)
    server.start()
    results = ResultStore(parse_address("RESULTS", server.url), 60)
    results.start()
    try:
        with pytest.raises(ResultsUnavailableError):
            results.expect(results.new_task_id())
        await _soon(results.check)
        task_id = results.new_task_id()
        future = results.expect(task_id)
        server.kill()
        await asyncio.sleep(0.3)
        server.start()
        Redis.from_url(server.url).set(result_key(task_id), b"answer")  # stored, but not announced
        assert await asyncio.wait_for(future, 10) == b"answer"
    finally:
        await results.close()
        server.kill()


async def _soon(call: Callable[[], Awaitable[None]]) -> None:
    for _ in range(100):
        with contextlib.suppress(ResultsUnavailableError):
            return await call()
        await asyncio.sleep(0.05)
    raise AssertionError("not within 5 s")
