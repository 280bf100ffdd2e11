"""Our messages match Celery's own, and the wire format matches its documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import orjson
from celery import Celery

from monitoring.metrics import Mode
from serving.wire.columns import FixtureBatch, ForecastBatch
from serving.wire.fixtures import Fixture, match_key
from serving.wire.messages import build_message
from serving.wire.tasks import PREDICT_ASYNC, PREDICT_COLUMNS
from tests.support.predictor_helpers import FIXTURE


def test_a_message_has_the_body_and_headers_of_celery() -> None:
    """We leave out only headers that Celery's worker does not need to run a task."""
    message = build_message(
        "some-id", PREDICT_ASYNC, [FIXTURE.to_wire()], mode=Mode.ASYNC, ttl_seconds=60, request_ids=["r"]
    )
    made = Celery(set_as_current=False).amqp.as_task_v2(
        "some-id", PREDICT_ASYNC, args=[FIXTURE.to_wire()], kwargs={}, expires=60
    )
    args, kwargs, embedded = orjson.loads(message.body())
    assert [args, kwargs] == [list(made.body[0]), made.body[1]]
    assert embedded == made.body[2]
    ours, celerys = message.all_headers(), made.headers
    same = {"lang", "task", "id"}
    assert {name: ours[name] for name in same} == {name: celerys[name] for name in same}
    assert type(ours["expires"]) is type(celerys["expires"])
    assert set(ours) - set(celerys) == {"mode", "request_ids", "sent_at", "track_started"}


def _examples(repository: Path) -> list[dict[str, Any]]:
    text = (repository / "serving" / "README.md").read_text()
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)]


def test_the_documented_columns_are_those_in_use(repository: Path) -> None:
    task, result = _examples(repository)
    fixtures = [
        Fixture("one", "eng-premier-league", "2025-26", "2026-03-14T15:00:00Z", "Arsenal", "Chelsea", neutral=False),
        Fixture("two", "eng-premier-league", "2025-26", None, "Chelsea", "Everton", neutral=True),
    ]
    assert orjson.loads(orjson.dumps(FixtureBatch.from_fixtures(fixtures).to_wire())) == task
    read = FixtureBatch.from_wire(task)
    assert read.match.tolist() == [match_key("one"), match_key("two")]
    assert [read.clubs[index][1] for index in read.home] == ["Arsenal", "Chelsea"]
    assert set(result) == set(ForecastBatch.__annotations__)
    assert len(result["probabilities"].split(",")) == 3 * len(result["variant_index"]) == 3 * task["matches"]


def test_the_documented_task_name_is_the_one_in_use(repository: Path) -> None:
    assert f"`{PREDICT_COLUMNS}`" in (repository / "serving" / "README.md").read_text()
