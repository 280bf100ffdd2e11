"""What the API does with a task's id before and after the queue has the task."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aio_pika
import httpx
import orjson
import pytest
from redis import Redis

from serving.app import create_app
from serving.broker import DEAD_LETTERS, QUEUE, Message, RabbitMQ
from serving.desk import Desk
from serving.errors import BrokerUnavailable
from serving.keys import create
from serving.results import WORKERS, Results
from serving.settings import ServingSettings
from tests.serving.rabbit import Rabbit

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
MESSAGE = Message("0" * 36, "serving.predict", [{}], None, {})


class Broker:
    """Remembers what it took; fails as often as it is told to."""

    def __init__(self, failures: int) -> None:
        self.taken: list[str] = []
        self.failures = failures

    async def publish(self, message: Message) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the process ends here")
        self.taken.append(message.task_id)


class Api:
    """The application on a result store, without processes and without a lake."""

    def __init__(self, results_url: str, folder: Path, failures: int = 0) -> None:
        made = [create(name) for name in ("one", "two")]
        self.keys = [key for key, _ in made]
        (folder / "keys").write_text("\n".join(line for _, line in made))
        self.broker = Broker(failures)
        settings = ServingSettings(api_keys_file=folder / "keys", lake=str(folder / "lake"))
        self.app = create_app(settings)
        self.app.state.catalogue = SimpleNamespace(fixture=lambda *_: PAIR)
        self.results = Results(results_url, 60)
        self.app.state.desk = Desk(settings, self.broker, self.results)  # type: ignore[arg-type]

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
    assert api.broker.taken == [again.json()["task_id"]]
    assert (await api.submit("k")).json() == again.json()
    assert len(api.broker.taken) == 1
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
    broker._exchange, broker._channel = Exchange(), SimpleNamespace(is_closed=False)  # type: ignore[assignment]
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
    assert [(depth.name, depth.messages) for depth in await broker.depths()] == [(QUEUE, 1), (DEAD_LETTERS, 0)]
    await broker.close()
