"""Every item of the list reaches the worker as a message that kombu can read."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.utils.json import dumps, loads

from serving.wire.dead_letters import UNREADABLE
from serving.worker.redis_transport import readable

PROPERTIES = {"delivery_tag": "t", "delivery_info": {"exchange": "ml", "routing_key": "ml"}, "body_encoding": "base64"}
ENVELOPE: dict[str, Any] = {"body": base64.b64encode(b"[]").decode(), "headers": {"id": "a"}, "properties": PROPERTIES}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("__type__"), inner, max_size=3),
    max_leaves=8,
)


def test_a_message_of_kombu_is_passed_on_as_it_is() -> None:
    item = orjson.dumps({**ENVELOPE, "content-type": "application/json", "content-encoding": "utf-8"})
    assert readable(item) == item


@pytest.mark.parametrize(
    "item",
    [
        *(b"", b"\xff", b"{", b"[]", b'{"properties":5}', b"[" * 100_000),
        orjson.dumps({**ENVELOPE, "headers": {"a": {"__type__": "datetime", "__value__": "b"}}}),
        orjson.dumps({**ENVELOPE, "properties": {**PROPERTIES, "delivery_tag": {}}}),
        orjson.dumps({**ENVELOPE, "body": "a"}),
        orjson.dumps({**ENVELOPE, "another": 1}),
        orjson.dumps({**ENVELOPE, "headers": {"a": 0}}).replace(b":0", b":" + b"1" * 5000),
        orjson.dumps({**ENVELOPE, "headers": {"a": 0}}).replace(b":0", b":" + b"[" * 900 + b"]" * 900),
    ],
)
def test_an_item_that_kombu_cannot_read_is_wrapped(item: bytes) -> None:
    """Its first bytes are kept."""
    wrapped = json.loads(readable(item))
    assert wrapped["content-type"] == UNREADABLE
    assert base64.b64decode(wrapped["body"]) == item[:64_000]


@settings(max_examples=200, deadline=None)
@given(st.binary() | ANYTHING.map(dumps) | st.dictionaries(st.sampled_from([*ENVELOPE, "x"]), ANYTHING).map(dumps))
def test_kombu_can_read_whatever_comes_out(item: bytes | str) -> None:
    content = item.encode() if isinstance(item, str) else item
    envelope = loads(readable(content).decode())
    assert set(PROPERTIES) - {"body_encoding"} <= set(envelope["properties"])
    dumps([envelope, "ml", "ml"])
