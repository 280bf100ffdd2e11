"""Requests that wait together share one task; each has its own answer, its own patience and its own end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson
import pytest

from serving.api.dispatch.coalescing import MATCHES, REQUESTS, Caller
from serving.api.dispatch.dispatcher import Desk
from serving.errors import BrokerUnavailable, CallerGone, NoAnswerInTime, NoWorker, Overloaded, TaskGivenUp
from serving.settings import ServingSettings
from serving.wire.columns import MOST_MATCHES, Fixture, Forecasts, Slate
from serving.wire.forecast_json import batch
from serving.worker.execution import PREDICT_BATCH
from tests.support.fakes import FakeBroker, FakeResults


class Stage:
    """A desk between a broker and results that do as they are told."""

    def __init__(self, patience: float = 30) -> None:
        self.broker, self.results = FakeBroker(), FakeResults()
        settings = ServingSettings(sync_timeout_seconds=patience)
        self.desk = Desk(settings, self.broker, self.results)  # type: ignore[arg-type]  # those of this file
        self.gone: set[str] = set()

    def ask(self, name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(self.desk.ask(_fixture(name), self._caller("/predict", name)))

    def ask_many(self, *names: str) -> asyncio.Task[Any]:
        fixtures = [_fixture(name) for name in names]
        return asyncio.create_task(self.desk.ask_many(fixtures, self._caller("/predict/batch", names[0])))

    def _caller(self, route: str, name: str) -> Caller:
        async def gone() -> bool:
            return name in self.gone

        return Caller(route, name, gone)

    def answer(self, number: int, errors: Mapping[str, Any] = MappingProxyType({})) -> None:
        message = self.broker.messages[number]
        self.results.futures[message.task_id].set_result(_answered(self.tasks()[number], errors))

    def give_up(self, number: int) -> None:
        error = {"exc_type": "WorkerLostError", "exc_message": ["it crashed"]}
        document = {"status": "FAILURE", "result": error}
        self.results.futures[self.broker.messages[number].task_id].set_result(orjson.dumps(document))

    def refuse(self, number: int) -> None:
        document = {"status": "FAILURE", "result": {"exc_type": "NotRegistered", "exc_message": ["serving.other"]}}
        self.results.futures[self.broker.messages[number].task_id].set_result(orjson.dumps(document))

    def tasks(self) -> list[list[str]]:
        """The home clubs that each task asks for."""
        slates = [Slate.read(orjson.loads(orjson.dumps(message.args[0]))) for message in self.broker.messages]
        return [[one.clubs[at][1] for at in one.home] for one in slates]


def _fixture(home_team: str) -> Fixture:
    """A match whose home club, and id, is told from others."""
    return Fixture(home_team, "league", "2025-26", None, home_team, "visitors", neutral=False)


def _answered(clubs: Sequence[str], errors: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """A stored result; each forecast bears the name of its home club where the time of its features belongs."""
    forecasts: Forecasts = {
        "model": {"version": 1},
        "probabilities": ",".join(f"0.{place},0.3,0.2" for place in range(len(clubs))),
        "kinds": [("home", club) for club in clubs],
        "kind": list(range(len(clubs))),
        "errors": [(place, errors[club]) for place, club in enumerate(clubs) if club in errors],
    }
    return orjson.dumps({"status": "SUCCESS", "result": forecasts})


def _meant_for(written: bytes) -> str:
    """Whose forecast an answer is, if the document and the numbers in it belong together."""
    answer = orjson.loads(written)
    assert answer["match_id"] == answer["home_team"] == answer["features_as_of"]
    return str(answer["match_id"])


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.anyio
async def test_a_request_goes_at_once_and_those_that_come_meanwhile_go_together() -> None:
    stage = Stage()
    stage.broker.confirm.clear()
    first = stage.ask("a")
    await turns()
    assert stage.tasks() == [["a"]]
    others = [stage.ask(name) for name in "bcd"]
    await turns()
    assert stage.tasks() == [["a"]]
    stage.broker.confirm.set()
    await turns()
    assert stage.tasks() == [["a"], ["b", "c", "d"]]
    assert stage.broker.messages[1].headers["request_ids"] == ["b", "c", "d"]
    stage.answer(1)
    stage.answer(0)
    assert [_meant_for(answer) for answer in await asyncio.gather(first, *others)] == list("abcd")


@pytest.mark.anyio
async def test_requests_of_one_turn_of_the_loop_share_a_task_up_to_its_limit() -> None:
    stage = Stage()
    asked = [stage.ask(str(number)) for number in range(REQUESTS + 3)]
    await turns()
    assert [len(task) for task in stage.tasks()] == [REQUESTS, 3]
    stage.answer(0)
    stage.answer(1)
    assert [_meant_for(answer) for answer in await asyncio.gather(*asked)] == [str(n) for n in range(REQUESTS + 3)]


@pytest.mark.anyio
async def test_batches_that_come_while_a_task_is_sent_share_the_next_and_each_has_its_own_answers() -> None:
    stage = Stage()
    stage.broker.confirm.clear()
    first = stage.ask_many("a", "b")
    single = stage.ask("x")
    await turns()
    others = [stage.ask_many("c"), stage.ask_many("d", "e", "f"), stage.ask_many("g", "h")]
    await turns()
    assert stage.tasks() == [["a", "b"], ["x"]], "a single match never waits behind a batch"
    stage.broker.confirm.set()
    await turns()
    assert stage.tasks()[2:] == [["c", "d", "e", "f", "g", "h"]]
    error = {"exc_type": "LeakageError", "exc_message": ["too late"], "exc_module": "features.errors"}
    for number in (2, 1, 0):
        stage.answer(number, {"e": error})
    assert _meant_for(await single) == "x"
    for names, answers in zip(("ab", "c", "def", "gh"), await asyncio.gather(first, *others), strict=True):
        document = batch(range(len(names)), [_fixture(name) for name in names], answers, {})
        told = [item["forecast"] for item in orjson.loads(document)["items"]]
        assert [one["features_as_of"] for one in told] == [one["match_id"] for one in told] == list(names)
        assert [place for place, _ in answers.errors] == [place for place, name in enumerate(names) if name == "e"]
    numbers = [orjson.loads(number) for number in answers.probabilities]
    assert numbers == [0.4, 0.3, 0.2, 0.5, 0.3, 0.2], "those of the last two of six"


@pytest.mark.anyio
async def test_no_more_batches_share_a_task_than_one_call_may_answer() -> None:
    stage = Stage()
    names = [str(number) for number in range(MOST_MATCHES)]
    asked = [stage.ask_many(*names) for _ in range(MATCHES // MOST_MATCHES + 1)]
    await turns()
    assert [len(task) for task in stage.tasks()] == [MATCHES, MOST_MATCHES]
    for task in asked:
        task.cancel()


@pytest.mark.anyio
async def test_the_head_of_a_task_that_many_small_batches_share_does_not_grow_without_end() -> None:
    stage = Stage()
    asked = [stage.ask_many(str(number)) for number in range(REQUESTS + 1)]
    await turns()
    assert [len(message.headers["request_ids"]) for message in stage.broker.messages] == [REQUESTS, 1]
    for task in asked:
        task.cancel()


@pytest.mark.anyio
async def test_a_batch_whose_shared_task_took_workers_down_goes_on_as_a_batch() -> None:
    stage = Stage()
    asked = [stage.ask_many("a", "b"), stage.ask_many("c")]
    await turns()
    stage.give_up(0)
    await turns()
    assert stage.tasks() == [["a", "b", "c"], ["a", "b"], ["c"]]
    assert {message.task for message in stage.broker.messages} == {PREDICT_BATCH}
    stage.give_up(1)
    stage.answer(2)
    blamed, innocent = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(blamed, TaskGivenUp)
    assert not isinstance(innocent, BaseException)


@pytest.mark.anyio
async def test_an_error_of_one_is_not_an_error_of_the_others() -> None:
    stage = Stage()
    asked = [stage.ask(name) for name in "ab"]
    await turns()
    error = {"exc_type": "LeakageError", "exc_message": ["too late"], "exc_module": "features.errors"}
    stage.answer(0, {"a": error})
    refused, answered = await asyncio.gather(*asked, return_exceptions=True)
    assert str(refused) == "too late"
    assert _meant_for(answered) == "b"


@pytest.mark.anyio
async def test_when_a_shared_task_takes_workers_down_each_request_goes_on_alone() -> None:
    stage = Stage()
    asked = [stage.ask(name) for name in "ab"]
    await turns()
    stage.give_up(0)
    await turns()
    assert stage.tasks() == [["a", "b"], ["a"], ["b"]]
    stage.give_up(1)
    stage.answer(2)
    blamed, innocent = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(blamed, TaskGivenUp)
    assert _meant_for(innocent) == "b"


@pytest.mark.anyio
async def test_a_broker_that_is_away_is_told_to_all_who_wait_at_once() -> None:
    stage = Stage()
    stage.broker.confirm.clear()
    stage.broker.error = BrokerUnavailable("connection refused")
    first = stage.ask("a")
    await turns()
    second = stage.ask("b")
    await turns()
    stage.broker.confirm.set()
    for error in await asyncio.gather(first, second, return_exceptions=True):
        assert isinstance(error, BrokerUnavailable)
        assert str(error) == "connection refused"
    assert stage.tasks() == [["a"]]
    stage.broker.error = None
    third = stage.ask("c")
    await turns()
    stage.answer(1)
    assert _meant_for(await third) == "c"


@pytest.mark.anyio
async def test_patience_ends_with_an_error_unless_the_result_is_there_after_all() -> None:
    stage = Stage(patience=0.05)
    with pytest.raises(NoAnswerInTime):
        await stage.ask("a")
    assert list(stage.desk._errands._abandoned) == ["task-0"]
    asked = stage.ask("b")
    await turns()
    stage.results.stored["task-1"] = _answered(["b"])
    assert _meant_for(await asked) == "b"  # its announcement was missed
    assert list(stage.desk._errands._abandoned) == ["task-0"]


@pytest.mark.anyio
async def test_a_task_is_abandoned_when_the_last_of_its_callers_has_hung_up() -> None:
    stage = Stage()
    asked = [stage.ask(name) for name in "ab"]
    await turns()
    stage.gone = {"a"}
    for errand in stage.desk._errands._running.values():
        errand.sent_at -= 2
    await stage.desk._errands.notice_gone()
    assert not stage.desk._errands._abandoned
    stage.gone = {"a", "b"}
    await stage.desk._errands.notice_gone()
    assert list(stage.desk._errands._abandoned) == ["task-0"]
    for error in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(error, CallerGone)


@pytest.mark.anyio
async def test_a_task_that_met_another_version_is_sent_again_for_those_who_still_wait() -> None:
    stage = Stage()
    asked = [stage.ask(name) for name in "ab"]
    await turns()
    stage.refuse(0)
    stage.gone = {"a"}
    await asyncio.sleep(0.3)
    assert stage.tasks() == [["a", "b"], ["b"]]
    stage.answer(1)
    left, stayed = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(left, CallerGone)
    assert _meant_for(stayed) == "b"
    alone = stage.ask("c")
    await turns()
    stage.refuse(2)
    stage.gone = {"c"}
    with pytest.raises(CallerGone):
        await alone
    assert len(stage.tasks()) == 3, "nobody waits"


@pytest.mark.anyio
async def test_without_a_worker_a_caller_is_told_so_instead_of_waiting() -> None:
    stage = Stage()
    stage.broker.consumers = 0
    await stage.desk.look()
    assert stage.desk.workerless
    assert stage.desk._nobody_since is not None
    stage.desk._nobody_since -= 6
    with pytest.raises(NoWorker):
        await stage.ask("a")
    stage.broker.consumers = 1
    await stage.desk.look()
    asked = stage.ask("b")
    await turns()
    stage.answer(0)
    assert _meant_for(await asked) == "b"


@pytest.mark.anyio
async def test_a_burst_is_shed_once_answers_are_late_and_more_wait_than_can_be_answered() -> None:
    stage = Stage()
    asked = [stage.ask(str(number)) for number in range(200)]
    await turns()
    waiting = [stage.ask(str(number)) for number in range(150)]
    await turns()
    stage.desk._backlog.tick(1, 0)
    stage.answer(0)
    await asyncio.gather(*asked)
    stage.desk._backlog.tick(20, 0)  # ten matches a second, and others still wait
    for errand in stage.desk._errands._running.values():
        for seat in errand.seats:
            seat.asked_at -= 2
    with pytest.raises(Overloaded, match="about 15 s") as refused:
        await stage.ask("late")
    assert refused.value.retry_after == 6
    stage.answer(1)
    assert len(await asyncio.gather(*waiting)) == 150
