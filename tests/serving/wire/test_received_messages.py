"""A message is either a task or refused with a sentence; nothing else happens, whatever it holds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.metrics import Mode
from serving.errors import IncompatibleWorkerError, MalformedMessageError, TaskFailedError
from serving.wire.columns import FixtureBatch
from serving.wire.dead_letters import KIND_HEADER, REASON_HEADER, RefusalKind, dead_letter_error
from serving.wire.fixtures import Fixture
from serving.wire.limits import MAX_MESSAGE_BYTES
from serving.wire.messages import build_message
from serving.wire.received_messages import RefusedMessageError, read_task
from serving.wire.tasks import PREDICT_ASYNC, PREDICT_COLUMNS
from tests.support.predictor_helpers import FIXTURE

JSON = ("application/json", "utf-8")
COLUMNS: dict[str, Any] = orjson.loads(orjson.dumps(FixtureBatch.from_fixtures([FIXTURE]).to_wire()))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_our_own_messages_are_tasks() -> None:
    """Deadline and request ids arrive as they were sent."""
    for task, argument in ((PREDICT_ASYNC, FIXTURE.to_wire()), (PREDICT_COLUMNS, COLUMNS)):
        message = build_message(
            "id", task, [argument], mode=Mode.SYNC, ttl_seconds=30, request_ids=["r"], now=1_700_000_000.0
        )
        received = read_task(message.all_headers(), message.body(), *JSON)
        assert (received.argument, received.headers.request_ids) == (argument, ["r"])
        assert received.expires_at == 1_700_000_030.0


def test_a_body_over_the_limit_is_not_decoded() -> None:
    with pytest.raises(RefusedMessageError, match="8,000,000") as refused:
        read_task({"id": "i", "task": "t"}, b"[" * (MAX_MESSAGE_BYTES + 1), *JSON)
    assert refused.value.kind is RefusalKind.TOO_LARGE


@pytest.mark.parametrize(
    "changes",
    [
        {"matches": 2},
        {"match": "%"},
        {"home": "AAAA"},
        {"home": "/////w=="},
        {"clubs": []},
        {"clubs": [["league", 5]]},
        {"clubs": [["league", "x" * 5000]]},
        {"kick_off": None},
    ],
)
def test_columns_that_do_not_fit_are_named(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessageError, match=r"argument: ."):
        FixtureBatch.from_wire({**COLUMNS, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"home_team": None},
        {"neutral": "no"},
        {"kick_off": "soon"},
        {"kick_off": "2026-01-01T00:00:00"},
        {"match_id": 5},
    ],
)
def test_a_match_that_does_not_fit_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessageError, match=r"argument: ."):
        Fixture.from_wire({**FIXTURE.to_wire(), **changes})


def test_those_who_wait_are_told_why_a_letter_is_dead() -> None:
    """A task of another version is published again; letters of version 0.1 have no reason."""
    letter = {KIND_HEADER: "body", REASON_HEADER: "it is empty"}
    assert "it is empty" in str(dead_letter_error(letter))
    assert isinstance(dead_letter_error({KIND_HEADER: "unknown_task", REASON_HEADER: "t"}), IncompatibleWorkerError)
    assert isinstance(dead_letter_error({"x-first-death-reason": "rejected"}), IncompatibleWorkerError)
    for strange in ({}, {KIND_HEADER: ["a"], REASON_HEADER: "b"}, {KIND_HEADER: "body", REASON_HEADER: 5}):
        assert isinstance(dead_letter_error(strange), TaskFailedError)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(), ANYTHING) | st.fixed_dictionaries({"id": ANYTHING, "task": ANYTHING}), st.binary())
def test_no_headers_cause_another_kind_of_error(headers: dict[str, Any], body: bytes) -> None:
    for content in (body, b"[[{}],{},{}]"):
        with suppress(RefusedMessageError):
            read_task({"id": "i", "task": PREDICT_COLUMNS, **headers}, content, *JSON)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*COLUMNS, *FIXTURE.to_wire()]), ANYTHING))
def test_no_argument_causes_another_kind_of_error(changes: dict[str, Any]) -> None:
    for read, argument in ((FixtureBatch.from_wire, COLUMNS), (Fixture.from_wire, FIXTURE.to_wire())):
        with suppress(MalformedMessageError):
            read({**argument, **changes})
