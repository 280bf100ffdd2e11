"""Whatever is on the queue or in the result store, the next request is answered."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from serving.wire.limits import MAX_MESSAGE_BYTES
from serving.wire.results import result_key
from serving.wire.tasks import PREDICT_ASYNC, PREDICT_COLUMNS
from serving.wire.worker_status import WORKER_REGISTRY_KEY
from tests.support.ports import free_port
from tests.support.prometheus_samples import samples
from tests.support.raw_messages import JSON, RawPublisher
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
PREFETCH = 64
BODY = orjson.dumps([[{"match_id": "a"}], {}, {}])


class Intake:
    """A service whose queue a test fills."""

    def __init__(self, service: Service, metrics_port: int) -> None:
        self.service, self.publisher = service, RawPublisher(service.broker_url)
        self.client = httpx.Client(base_url=service.url, timeout=60)
        self.results = Redis.from_url(service.results_url)
        self._metrics = f"http://127.0.0.1:{metrics_port}/metrics"
        self._pid = service.processes["worker"].pid

    def answers(self) -> None:
        """Check that a request is answered, by the worker that was started first."""
        answer = self.client.post("/predict", json=PAIR)
        assert answer.status_code == 200, answer.text
        assert self.service.processes["worker"].poll() is None

    def refused(self, kind: str) -> float:
        return samples(httpx.get(self._metrics, timeout=20).text).get(("touchline_refused_messages_total", kind), 0)

    def reason(self, task_id: str) -> str:
        """Why the task of a message was refused, once that is known."""
        stored = wait_until(lambda: self.results.get(result_key(task_id)))
        return str(orjson.loads(stored)["result"]["exc_message"][0])

    def empty(self) -> bool:
        """Whether no message waits, and none is among the dead letters."""
        items = self.client.get("/monitoring/celery/queues").json()["items"]
        return {item["messages"] for item in items} == {0}


@pytest.fixture(scope="module")
def intake(
    master: World, brokers: Callable[[int], tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Intake]:
    """API and worker on each broker."""
    port = free_port()
    extra = {"TOUCHLINE_WORKER_METRICS_PORT": str(port)}
    service = Service(master, *brokers(6), tmp_path_factory.mktemp("intake"), extra)
    try:
        service.start_api()
        service.start_worker()
        service.wait_ready()
        yield Intake(service, port)
    finally:
        service.stop()


def _headers(**changes: Any) -> dict[str, Any]:
    return {"lang": "py", "task": PREDICT_COLUMNS, "id": str(uuid4()), **changes}


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, b"", "JSON"),
        ({}, b"{}", "array"),
        ({}, b"[]", "length 3"),
        ({}, b"[[1, 2], {}]", "JSON"),
        ({}, b"[{}, {}, {}]", "array"),
        ({}, b"[[{}], {}, {}]", "matches"),
        ({}, b"[" * 50_000, "JSON"),
        ({}, orjson.dumps([[{"matches": "many"}], {}, {}]), "matches"),
        ({}, orjson.dumps([[{"matches": 10**9}], {}, {}]), "matches"),
        ({"matches": "many"}, orjson.dumps([[{"matches": None}], {}, {}]), "matches"),
        ({"task": PREDICT_ASYNC}, BODY, "competition"),
        ({"task": PREDICT_ASYNC}, orjson.dumps([[{}], {"fixture": {}}, {}]), "by position"),
        ({"task": "serving.unheard_of"}, BODY, "serving.unheard_of"),
        ({"expires": "never"}, BODY, "expires"),
        ({"expires": 5}, BODY, "expires"),
        ({"eta": "soon"}, BODY, "eta"),
        ({"request_ids": "text"}, BODY, "request_ids"),
        ({"compression": "zlib"}, zlib.compress(BODY), "compressed"),
    ],
)
def test_a_message_that_is_no_task_is_refused_with_its_reason(
    intake: Intake, headers: dict[str, Any], body: bytes, reason: str
) -> None:
    """The worker's main process goes on, and those who wait for the task are told."""
    sent = _headers(**headers)
    intake.publisher.send(sent, body)
    assert reason in intake.reason(sent["id"])
    intake.answers()


def test_messages_that_fill_the_prefetch_hold_nothing_up(intake: Intake) -> None:
    """They are counted, and none is left unacknowledged or among the dead letters."""
    before = intake.refused("headers")
    for number in range(2 * PREFETCH):
        intake.publisher.send(_headers(expires="never" if number % 2 else 5), BODY)
    intake.answers()
    wait_until(lambda: intake.refused("headers") == before + 2 * PREFETCH)
    wait_until(intake.empty)


def test_a_body_over_the_limit_is_refused(intake: Intake) -> None:
    """So is one that only a decompressor would make as large: no compressed body is loaded."""
    before = intake.refused("too_large"), intake.refused("unreadable")
    intake.publisher.send(_headers(), b"[" + b" " * (2 * MAX_MESSAGE_BYTES))
    intake.publisher.send(_headers(compression="gzip"), zlib.compress(b" " * (50 * MAX_MESSAGE_BYTES)))
    intake.answers()
    wait_until(lambda: (intake.refused("too_large"), intake.refused("unreadable")) == (before[0] + 1, before[1] + 1))


def test_bytes_that_are_no_message_are_refused(intake: Intake) -> None:
    """On Redis an item may be anything; on RabbitMQ the properties of a message may be impossible."""
    before = intake.refused("unreadable")
    unreadable = _UNREADABLE_PROPERTIES if intake.service.broker_url.startswith("amqp") else _UNREADABLE_ITEMS
    for content in unreadable:
        intake.publisher.send_raw(content)
    intake.answers()
    wait_until(lambda: intake.refused("unreadable") == before + len(unreadable))


def _table(content: bytes) -> bytes:
    return struct.pack(">HI", 0x2000, len(content)) + content


def _nested(depth: int) -> bytes:
    content = b"\x01aV"
    for _ in range(depth):
        content = b"\x01aF" + struct.pack(">I", len(content)) + content
    return _table(content)


_ENVELOPE = b'"properties":{"delivery_tag":"t","delivery_info":{"exchange":"ml","routing_key":"ml"}'
_UNREADABLE_PROPERTIES = [_table(b"\x01aT" + struct.pack(">Q", 2**60)), _nested(5000)]
_UNREADABLE_ITEMS = [
    b"",
    b"\xff",
    b"{",
    b"[]",
    b'{"properties":5}',
    b'{"body":"",' + _ENVELOPE.replace(b'"t"', b"{}") + b"}}",
    b'{"body":"%",' + _ENVELOPE + b',"body_encoding":"base64"}}',
    b'{"body":"","headers":{"a":{"__type__":"datetime","__value__":"b"}},' + _ENVELOPE + b"}}",
    b'{"body":"","headers":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"," + _ENVELOPE + b"}}",
]


# -- fuzzing ----------------------------------------------------------------------------------------------------------

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_NAMES = ("expires", "eta", "mode", "request_ids", "traceparents", "sent_at", "track_started")
_CELERYS = ("timelimit", "shadow", "root_id", "stamped_headers", "ignore_result", "retries", "compression", "lang")
_TASKS = st.sampled_from([PREDICT_ASYNC, PREDICT_COLUMNS, "serving.unheard_of"])
_HEADERS = st.fixed_dictionaries(
    {"task": _TASKS | _VALUES, "id": st.uuids().map(str) | _VALUES},
    optional=dict.fromkeys([*_NAMES, *_CELERYS], _VALUES),
) | st.dictionaries(st.text(max_size=8), _VALUES, max_size=4)
_ARGUMENTS = st.dictionaries(
    st.sampled_from(["matches", "clubs", "home", "away", "match_id", "competition", "kick_off", "neutral"]), _VALUES
)
_BODIES = (
    st.binary(max_size=60)
    | _VALUES.map(orjson.dumps)
    | _ARGUMENTS.map(lambda argument: orjson.dumps([[argument], {}, None]))
)
_TYPES = st.sampled_from([JSON, JSON, JSON, None, "application/x-python-serialize", "text/plain", "é"])
_ENCODINGS = st.sampled_from(["utf-8", "utf-8", None, "utf-16", "binary", "nonsense"])
_MESSAGES = st.lists(st.tuples(_HEADERS, _BODIES, _TYPES, _ENCODINGS), min_size=1, max_size=12)


def test_no_headers_and_bodies_stop_the_worker(intake: Intake) -> None:
    """Each example is followed by a request, which is answered by the same worker."""

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_MESSAGES)
    def send_and_ask(messages: list[tuple[dict[str, Any], bytes, str | None, str | None]]) -> None:
        for message in messages:
            intake.publisher.send(*message)
        intake.answers()

    send_and_ask()
    wait_until(intake.empty)


# -- the result store -------------------------------------------------------------------------------------------------


def test_the_status_of_a_task_with_garbage_as_result_says_so(intake: Intake) -> None:
    """The text of the garbage is not part of the answer's forecast."""
    for document in (b"\xff", b"{}", orjson.dumps({"status": "SUCCESS", "result": {"probabilities": "<b>"}})):
        task_id = str(uuid4())
        intake.results.set(result_key(task_id), document)
        status = intake.client.get(f"/monitoring/task_status/{task_id}")
        assert (status.status_code, status.json()["status"]) == (200, "failure")
        assert status.json()["error"]["type"] == "urn:touchline:problem:invalid-result"


def test_garbage_among_the_reports_of_workers_is_removed(intake: Intake) -> None:
    for document in (b"\xff", b"{}", b'{"name":"a","pid":1,"seen_at":"2026-01-01T00:00:00"}'):
        intake.results.hset(WORKER_REGISTRY_KEY, "garbage", document)
        assert intake.client.get("/healthcheck/ready").status_code == 200
    wait_until(partial(_is_gone, intake.results))
    assert intake.client.get("/metrics").status_code == 200


def _is_gone(results: Redis) -> bool:
    return not results.hexists(WORKER_REGISTRY_KEY, "garbage")
