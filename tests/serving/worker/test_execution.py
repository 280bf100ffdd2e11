"""What a worker's child stores and announces."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from serving.api.dispatch.result_store import result_key
from serving.settings import ServingSettings
from serving.worker import execution


def test_a_task_that_runs_twice_keeps_its_first_answer_and_announces_no_other(
    valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Redis.from_url(f"{valkey}/13")
    monkeypatch.setattr(execution, "results", lambda: store)
    monkeypatch.setattr(execution, "settings", ServingSettings)
    heard = store.pubsub(ignore_subscribe_messages=True)
    heard.subscribe(result_key("twice"))
    execution._store({"twice": {"home": 0.5}})
    execution._store({"twice": {"home": 0.9}})
    kept = store.get(result_key("twice"))
    announced: list[bytes] = []
    deadline = time.monotonic() + 10
    while len(announced) < 2 and time.monotonic() < deadline:
        message = heard.get_message(timeout=1)
        announced += [message["data"]] if message else []
    assert announced == [kept, kept]
    assert b"0.5" in kept
    assert 0 < store.ttl(result_key("twice")) <= ServingSettings().result_ttl_seconds
    store.flushdb()
