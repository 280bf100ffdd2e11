"""A result store or a broker that is silent, full, read-only, evicts or has lost its data, seen from the API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import anyio
import httpx
import pytest
from redis import Redis

from serving.addresses import parse_address
from serving.api.app import create_app
from serving.api.dispatch.broker import RabbitMQBroker, RedisBroker
from serving.api.dispatch.dispatcher import Dispatcher
from serving.api.dispatch.result_store import ResultStore
from serving.api.dispatch.store_health import StoreEpoch, eviction_warning
from serving.errors import BrokerUnavailableError, ResultsUnavailableError
from serving.settings import ServingSettings
from serving.wire.messages import Message
from tests.support.fakes import FakeBroker
from tests.support.rabbitmq_server import Rabbit
from tests.support.redis_server import Store
from tests.support.silent_proxy import SilentProxy

MESSAGE = Message("0" * 36, "serving.predict", [{}], None, {})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own, whose configuration it changes."""
    store = Store(tmp_path / "store")
    store.start()
    yield store
    store.kill()


async def _subscribed(results: ResultStore) -> None:
    """Wait until results are received and the store has been polled."""
    with anyio.fail_after(20):
        while True:
            await results.poll()
            try:
                await results.check()
            except ResultsUnavailableError:
                await anyio.sleep(0.05)
            else:
                return


@pytest.mark.anyio
async def test_a_silent_store_is_noticed_and_found_again(server: Store) -> None:
    """One poll says that it is away; from then on nobody waits for it; the first poll after its return says so."""
    with SilentProxy(server.port) as proxy:
        results = ResultStore(parse_address("RESULTS", f"redis://127.0.0.1:{proxy.port}"), 60)
        results.start()
        try:
            await _subscribed(results)
            proxy.silence()
            started = time.monotonic()
            await results.poll()
            assert time.monotonic() - started < 6
            started = time.monotonic()
            with pytest.raises(ResultsUnavailableError, match="the result store cannot be reached: "):
                results.expect(results.new_task_id())
            with pytest.raises(ResultsUnavailableError):
                await results.mark_accepted(results.new_task_id())
            assert time.monotonic() - started < 1
            proxy.restore()
            await _subscribed(results)
            results.expect(results.new_task_id()).cancel()
        finally:
            await results.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("command", "undo", "reason"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "the result store is full"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "the result store is a read-only replica"),
    ],
)
async def test_a_store_that_takes_no_results_ends_the_waiting(
    server: Store, command: str, undo: str, reason: str
) -> None:
    """Requests that wait and those that come are told the cause at once, until the store takes results again."""
    client = Redis.from_url(server.url)
    results = ResultStore(parse_address("RESULTS", server.url), 60)
    results.start()
    try:
        await _subscribed(results)
        waiting = results.expect(results.new_task_id())
        client.execute_command(*command.split())
        await results.poll()
        with pytest.raises(ResultsUnavailableError, match=reason):
            await waiting
        with pytest.raises(ResultsUnavailableError, match=reason):
            results.expect(results.new_task_id())
        client.execute_command(*undo.split())
        await _subscribed(results)
        results.expect(results.new_task_id()).cancel()
    finally:
        await results.close()


@pytest.mark.anyio
async def test_a_full_broker_refuses_tasks_with_the_cause(server: Store) -> None:
    """A Redis that is full as the broker is named as such, and takes tasks once it has room."""
    client = Redis.from_url(server.url)
    broker = RedisBroker(parse_address("BROKER", server.url))
    try:
        client.config_set("maxmemory", 1)
        with pytest.raises(BrokerUnavailableError, match="the broker is full"):
            await broker.publish(MESSAGE)
        with pytest.raises(BrokerUnavailableError, match="the broker is full"):
            await broker.queue_stats()
        client.config_set("maxmemory", 0)
        await broker.publish(MESSAGE)
    finally:
        await broker.close()


@pytest.mark.parametrize(
    ("memory", "warns"),
    [
        ({"maxmemory": 0, "maxmemory_policy": "noeviction"}, False),
        ({"maxmemory": 0, "maxmemory_policy": "allkeys-lru"}, False),
        ({"maxmemory": 100, "maxmemory_policy": "noeviction"}, False),
        ({"maxmemory": 100, "maxmemory_policy": "volatile-ttl"}, True),
        ({}, False),
    ],
)
def test_only_a_store_that_would_evict_is_warned_about(memory: dict[str, object], warns: bool) -> None:
    """A policy without a limit evicts nothing, and a limit without a policy refuses instead."""
    assert (eviction_warning(memory) is not None) == warns


@pytest.mark.anyio
async def test_a_store_that_evicts_is_named_with_its_setting(server: Store) -> None:
    """The warning appears while the setting is wrong, and says which one it is."""
    client = Redis.from_url(server.url)
    results = ResultStore(parse_address("RESULTS", server.url), 60)
    try:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        await results.poll()
        assert results.warning is not None
        assert "maxmemory-policy allkeys-lru" in results.warning
        client.config_set("maxmemory-policy", "noeviction")
        await results.poll()
        assert results.warning is None
    finally:
        await results.close()


@pytest.mark.anyio
async def test_a_task_that_the_store_has_lost_is_a_failure(server: Store, tmp_path: Path) -> None:
    """After FLUSHALL a task is a failure with the reason, for another API process, too; before, it is unknown."""
    settings = ServingSettings(lake=str(tmp_path))
    app = create_app(settings)
    first, second = (ResultStore(parse_address("RESULTS", server.url), 60) for _ in range(2))
    app.state.catalogue = SimpleNamespace()
    app.state.dispatcher = Dispatcher(settings, FakeBroker(None), second)
    url = f"/monitoring/task_status/{first.new_task_id()}"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        await first.poll()
        assert (await client.get(url)).status_code == 404
        Redis.from_url(server.url).flushall()
        await first.poll()
        await second.poll()
        status = (await client.get(url)).json()
        assert status["status"] == "failure"
        assert "the result store lost its data at" in status["error"]["detail"]
        assert (await client.get("/monitoring/task_status/nonsense")).status_code == 404
    await first.close()
    await second.close()


def test_a_loss_that_a_new_process_has_not_noticed_is_recorded() -> None:
    """Another process that starts after the loss must not hide it."""
    old, new = StoreEpoch(), StoreEpoch()
    assert not old.update(None, old.successor(100.0))
    text = new.successor(200.0)
    assert not new.update(None, text)
    successor = old.successor(201.0)
    assert old.update(text, successor)
    assert old.lost_at == 201.0
    assert not new.update(successor, new.successor(202.0))
    assert new.lost_at == 201.0
    assert new.update(b"\xff junk", new.successor(203.0))


@pytest.mark.anyio
@pytest.mark.rabbitmq
@pytest.mark.slow
async def test_a_silent_rabbitmq_is_noticed_and_found_again(rabbit: Rabbit) -> None:
    """Tasks are refused after three seconds, and accepted soon after the network is back, on a new connection."""
    with SilentProxy(rabbit.port) as proxy:
        broker = RabbitMQBroker(parse_address("BROKER", f"amqp://guest:guest@127.0.0.1:{proxy.port}//"))
        try:
            await broker.queue_stats()
            proxy.silence()
            started = time.monotonic()
            with pytest.raises(BrokerUnavailableError, match="RabbitMQ did not report its queues: no answer"):
                await broker.queue_stats()
            assert time.monotonic() - started < 5
            proxy.restore()
            with anyio.fail_after(15):
                while True:
                    try:
                        await broker.queue_stats()
                        break
                    except BrokerUnavailableError:
                        await anyio.sleep(0.2)
        finally:
            await broker.close()
