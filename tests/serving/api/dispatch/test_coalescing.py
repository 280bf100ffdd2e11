"""Concurrent requests share a task, but each has its own answer, timeout and error."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from zlib import crc32

import orjson
import pytest

from monitoring.metrics import Mode
from serving.api.dispatch.dispatcher import Dispatcher
from serving.api.dispatch.requests import ClientRequest
from serving.errors import (
    BrokerUnavailableError,
    ClientDisconnectedError,
    InvalidResultError,
    NoWorkersAvailableError,
    OverloadedError,
    PredictionTimeoutError,
    TaskFailedError,
)
from serving.settings import ServingSettings
from serving.wire.columns import FixtureBatch, ForecastBatch
from serving.wire.fixtures import Fixture
from serving.wire.forecast_json import encode_batch
from serving.wire.limits import MAX_BATCH_SIZE, MAX_MATCHES_PER_TASK, MAX_REQUESTS_PER_TASK
from tests.support.fakes import FakeBroker, FakeClock, FakeResultStore

LEAKAGE = {"exc_type": "leakage-error", "exc_message": ["too late"], "exc_module": "features.errors"}


class Harness:
    """A dispatcher with a fake broker and a fake result store that the test controls."""

    def __init__(self, timeout_seconds: float = 30) -> None:
        self.broker, self.results, self.clock = FakeBroker(), FakeResultStore(), FakeClock()
        self.revoked: list[str] = []
        self.disconnected: set[str] = set()
        settings = ServingSettings(sync_timeout_seconds=timeout_seconds)
        self.dispatcher = Dispatcher(settings, self.broker, self.results, self._revoke, self.clock)  # type: ignore[arg-type]  # not all of a ResultStore

    async def _revoke(self, task_ids: Sequence[str]) -> None:
        self.revoked.extend(task_ids)

    async def supervise(self, seconds: float = 1) -> None:
        """Let time pass, then supervise."""
        self.clock.seconds += seconds
        await self.dispatcher.supervise_once()

    def predict(self, name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(self.dispatcher.predict(_fixture(name), self._context("/predict", name)))

    def predict_batch(self, *names: str) -> asyncio.Task[Any]:
        fixtures = [_fixture(name) for name in names]
        context = self._context("/predict/batch", names[0])
        return asyncio.create_task(self.dispatcher.predict_batch(fixtures, context))

    def _context(self, route: str, name: str) -> ClientRequest:
        async def is_disconnected() -> bool:
            return name in self.disconnected

        return ClientRequest(route, name, is_disconnected)

    def answer(self, number: int, errors: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.store(number, _answered(self.tasks()[number], errors))

    def crash(self, number: int) -> None:
        error = {"exc_type": "WorkerLostError", "exc_message": ["it crashed"]}
        self.store(number, orjson.dumps({"status": "FAILURE", "result": error}))

    def refuse(self, number: int) -> None:
        error = {"exc_type": "NotRegistered", "exc_message": ["serving.other"]}
        self.store(number, orjson.dumps({"status": "FAILURE", "result": error}))

    def store(self, number: int, document: bytes) -> None:
        self.results.futures[self.broker.published[number].task_id].set_result(document)

    def tasks(self) -> list[list[str]]:
        """The home clubs of each published task."""
        batches = [
            FixtureBatch.from_wire(orjson.loads(orjson.dumps(message.args[0]))) for message in self.broker.published
        ]
        return [[batch.clubs[index][1] for index in batch.home] for batch in batches]


def _fixture(home_team: str) -> Fixture:
    """A match whose id is the name of its home club."""
    return Fixture(home_team, "league", "2025-26", None, home_team, "visitors", neutral=False)


def _answered(clubs: Sequence[str], errors: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """A stored result; `features_as_of` of each forecast follows from the name of its home club."""
    home = [round(0.5 - index % 500 / 1000, 3) for index in range(len(clubs))]
    forecasts: ForecastBatch = {
        "model": {"name": "match-outcome", "version": 1, "trained_through": "2026-03-09T20:00:00Z"},
        "probabilities": ",".join(f"{p},{round(0.8 - p, 3)},0.2" for p in home),
        "variants": [("home", _as_of(club)) for club in clubs],
        "variant_index": list(range(len(clubs))),
        "errors": [(index, errors[club]) for index, club in enumerate(clubs) if club in errors],
    }
    return orjson.dumps({"status": "SUCCESS", "result": forecasts})


def _as_of(club: str) -> str:
    """A time that belongs to the club."""
    return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=crc32(club.encode()))).isoformat()


def _owner(response: bytes) -> str:
    """Return the match id of a response after checking that its parts belong to the same match."""
    forecast = orjson.loads(response)
    assert forecast["match_id"] == forecast["home_team"]
    assert forecast["features_as_of"] == _as_of(forecast["home_team"])
    return str(forecast["match_id"])


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.anyio
async def test_requests_during_a_publish_share_the_next_task() -> None:
    harness = Harness()
    harness.broker.confirm.clear()
    first = harness.predict("a")
    await turns()
    assert harness.tasks() == [["a"]], "a request is published at once if no publish is in progress"
    others = [harness.predict(name) for name in "bcd"]
    await turns()
    assert harness.tasks() == [["a"]]
    harness.broker.confirm.set()
    await turns()
    assert harness.tasks() == [["a"], ["b", "c", "d"]]
    assert harness.broker.published[1].headers["request_ids"] == ["b", "c", "d"]
    harness.answer(1)
    harness.answer(0)
    assert [_owner(response) for response in await asyncio.gather(first, *others)] == list("abcd")


@pytest.mark.anyio
async def test_requests_of_one_loop_turn_share_a_task_up_to_its_limit() -> None:
    harness = Harness()
    names = [str(number) for number in range(MAX_REQUESTS_PER_TASK + 3)]
    requests = [harness.predict(name) for name in names]
    await turns()
    assert [len(task) for task in harness.tasks()] == [MAX_REQUESTS_PER_TASK, 3]
    harness.answer(0)
    harness.answer(1)
    assert [_owner(response) for response in await asyncio.gather(*requests)] == names


@pytest.mark.anyio
async def test_batches_share_a_task_and_each_gets_its_own_forecasts() -> None:
    harness = Harness()
    harness.broker.confirm.clear()
    first = harness.predict_batch("a", "b")
    single = harness.predict("x")
    await turns()
    others = [harness.predict_batch("c"), harness.predict_batch("d", "e", "f"), harness.predict_batch("g", "h")]
    await turns()
    assert harness.tasks() == [["a", "b"], ["x"]], "a single match never waits behind a batch"
    harness.broker.confirm.set()
    await turns()
    assert harness.tasks()[2:] == [["c", "d", "e", "f", "g", "h"]]
    for number in (2, 1, 0):
        harness.answer(number, {"e": LEAKAGE})
    assert _owner(await single) == "x"
    for names, forecasts in zip(("ab", "c", "def", "gh"), await asyncio.gather(first, *others), strict=True):
        document = encode_batch(range(len(names)), [_fixture(name) for name in names], forecasts, {})
        items = [item["forecast"] for item in orjson.loads(document)["items"]]
        assert [item["match_id"] for item in items] == list(names)
        assert [item["features_as_of"] for item in items] == list(map(_as_of, names))
        assert [index for index, _ in forecasts.errors] == [index for index, name in enumerate(names) if name == "e"]
    numbers = [orjson.loads(number) for number in forecasts.probabilities]
    assert numbers == [0.496, 0.304, 0.2, 0.495, 0.305, 0.2], "the probabilities of the last two matches of six"


@pytest.mark.anyio
async def test_batches_share_a_task_up_to_its_limit_of_matches() -> None:
    harness = Harness()
    names = [str(number) for number in range(MAX_BATCH_SIZE)]
    requests = [harness.predict_batch(*names) for _ in range(MAX_MATCHES_PER_TASK // MAX_BATCH_SIZE + 1)]
    await turns()
    assert [len(task) for task in harness.tasks()] == [MAX_MATCHES_PER_TASK, MAX_BATCH_SIZE]
    for request in requests:
        request.cancel()


@pytest.mark.anyio
async def test_small_batches_share_a_task_up_to_its_limit_of_requests() -> None:
    harness = Harness()
    requests = [harness.predict_batch(str(number)) for number in range(MAX_REQUESTS_PER_TASK + 1)]
    await turns()
    sizes = [len(message.headers["request_ids"]) for message in harness.broker.published]
    assert sizes == [MAX_REQUESTS_PER_TASK, 1]
    for request in requests:
        request.cancel()


@pytest.mark.anyio
async def test_batches_of_a_crashed_task_are_retried_alone_as_batches() -> None:
    harness = Harness()
    requests = [harness.predict_batch("a", "b"), harness.predict_batch("c")]
    await turns()
    harness.crash(0)
    await turns()
    assert harness.tasks() == [["a", "b", "c"], ["a", "b"], ["c"]]
    assert {message.headers["mode"] for message in harness.broker.published} == {Mode.BATCH}
    harness.crash(1)
    harness.answer(2)
    blamed, innocent = await asyncio.gather(*requests, return_exceptions=True)
    assert isinstance(blamed, TaskFailedError)
    assert not isinstance(innocent, BaseException)


@pytest.mark.anyio
async def test_the_error_of_one_request_is_not_that_of_the_others() -> None:
    harness = Harness()
    requests = [harness.predict(name) for name in "ab"]
    await turns()
    harness.answer(0, {"a": LEAKAGE})
    refused, answered = await asyncio.gather(*requests, return_exceptions=True)
    assert str(refused) == "too late"
    assert isinstance(answered, bytes)
    assert _owner(answered) == "b"


@pytest.mark.anyio
async def test_requests_of_a_crashed_task_are_retried_alone() -> None:
    harness = Harness()
    requests = [harness.predict(name) for name in "ab"]
    await turns()
    harness.crash(0)
    await turns()
    assert harness.tasks() == [["a", "b"], ["a"], ["b"]]
    harness.crash(1)
    harness.answer(2)
    blamed, innocent = await asyncio.gather(*requests, return_exceptions=True)
    assert isinstance(blamed, TaskFailedError)
    assert isinstance(innocent, bytes)
    assert _owner(innocent) == "b"


@pytest.mark.anyio
async def test_a_broker_failure_ends_all_waiting_requests_at_once() -> None:
    harness = Harness()
    harness.broker.confirm.clear()
    harness.broker.error = BrokerUnavailableError("connection refused")
    first = harness.predict("a")
    await turns()
    second = harness.predict("b")
    await turns()
    harness.broker.confirm.set()
    for error in await asyncio.gather(first, second, return_exceptions=True):
        assert isinstance(error, BrokerUnavailableError)
        assert str(error) == "connection refused"
    assert harness.tasks() == [["a"]]
    harness.broker.error = None
    third = harness.predict("c")
    await turns()
    harness.answer(1)
    assert _owner(await third) == "c"


@pytest.mark.anyio
async def test_a_timeout_is_an_error_unless_the_result_is_stored() -> None:
    harness = Harness(timeout_seconds=0.05)
    with pytest.raises(PredictionTimeoutError):
        await harness.predict("a")
    await harness.supervise()
    assert harness.revoked == ["task-0"]
    request = harness.predict("b")
    await turns()
    harness.results.stored["task-1"] = _answered(["b"])
    assert _owner(await request) == "b", "the announcement of this result was missed"
    await harness.supervise()
    assert harness.revoked == ["task-0"]


@pytest.mark.anyio
async def test_a_task_is_revoked_once_its_last_client_disconnects() -> None:
    harness = Harness()
    requests = [harness.predict(name) for name in "ab"]
    await turns()
    harness.disconnected = {"a"}
    await harness.supervise(2)
    assert not harness.revoked
    harness.disconnected = {"a", "b"}
    await harness.supervise()
    assert harness.revoked == ["task-0"]
    for error in await asyncio.gather(*requests, return_exceptions=True):
        assert isinstance(error, ClientDisconnectedError)


@pytest.mark.anyio
async def test_a_refused_task_is_resent_for_the_requests_that_still_wait() -> None:
    harness = Harness()
    requests = [harness.predict(name) for name in "ab"]
    await turns()
    harness.refuse(0)
    harness.disconnected = {"a"}
    await asyncio.sleep(0.3)
    assert harness.tasks() == [["a", "b"], ["b"]]
    harness.answer(1)
    disconnected, answered = await asyncio.gather(*requests, return_exceptions=True)
    assert isinstance(disconnected, ClientDisconnectedError)
    assert isinstance(answered, bytes)
    assert _owner(answered) == "b"
    alone = harness.predict("c")
    await turns()
    harness.refuse(2)
    harness.disconnected = {"c"}
    with pytest.raises(ClientDisconnectedError):
        await alone
    assert len(harness.tasks()) == 3, "a task without a waiting request is not sent again"


@pytest.mark.anyio
async def test_without_workers_requests_fail_after_the_grace_period() -> None:
    harness = Harness()
    harness.broker.consumers = 0
    await harness.dispatcher.poll_broker()
    assert harness.dispatcher.no_workers
    waiting = harness.predict("a")
    await turns()
    assert harness.tasks() == [["a"]], "the API waits for a worker that restarts"
    harness.clock.seconds += 6
    with pytest.raises(NoWorkersAvailableError):
        await harness.predict("b")
    harness.broker.consumers = 1
    await harness.dispatcher.poll_broker()
    later = harness.predict("c")
    await turns()
    harness.answer(0)
    harness.answer(1)
    assert [_owner(response) for response in await asyncio.gather(waiting, later)] == ["a", "c"]


@pytest.mark.anyio
async def test_requests_are_shed_once_answers_are_slower_than_requests() -> None:
    harness = Harness()
    first = [harness.predict(str(number)) for number in range(200)]
    names = [str(number) for number in range(MAX_BATCH_SIZE)]
    waiting = [harness.predict_batch(*names) for _ in range(2)]
    await turns()
    await harness.supervise()
    harness.answer(0)
    await asyncio.gather(*first)
    await harness.supervise(2)  # 200 matches in 2 s, and 2,000 still wait
    with pytest.raises(OverloadedError, match="about 20 s") as refused:
        await harness.predict("late")
    assert refused.value.retry_after_seconds == 11
    harness.answer(1)
    assert len(await asyncio.gather(*waiting)) == 2


@pytest.mark.anyio
@pytest.mark.parametrize(
    "document",
    [b"\xff", b"", b"5", b"{}", b'{"status":"SUCCESS","result":{}}', b'{"status":"FAILURE","result":"text"}'],
)
async def test_garbage_as_result_ends_its_requests_at_once(document: bytes) -> None:
    """Nobody waits until the timeout, and the cause is told."""
    harness = Harness()
    harness.broker.confirm.clear()
    first = harness.predict("a")
    await turns()
    others = [harness.predict(name) for name in "bc"]
    harness.broker.confirm.set()
    await turns()
    for number in (0, 1):
        harness.store(number, document)
    errors = await asyncio.wait_for(asyncio.gather(first, *others, return_exceptions=True), 5)
    assert [type(error) for error in errors] == [InvalidResultError] * 3
    assert all(str(error) for error in errors)
