"""Spans of the worker's child have the right parent and status, and all of them are sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from features.errors import ModelUnavailableError
from serving.telemetry import tracing
from serving.wire.tasks import PREDICT_ASYNC
from serving.worker import dependencies
from serving.worker.app import stop_child
from serving.worker.execution import TaskInvocation
from tests.support.otlp_collector import Collector, Span

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector to which this process sends its spans."""
    running = Collector()
    tracing.configure(running.url, "worker")
    yield running
    tracing.shutdown()
    running.close()


def test_a_task_whose_sender_is_not_traced_begins_a_trace_of_its_own(collector: Collector) -> None:
    with tracing.task_spans(
        [TaskInvocation("one", PREDICT_ASYNC, [], traceparents=(PARENT,)), TaskInvocation("two", PREDICT_ASYNC, [])]
    ):
        pass
    tracing.shutdown()
    first, second = sorted(collector.spans, key=lambda span: span.parent, reverse=True)
    assert first.parent == "b7ad6b7169203331"
    assert second.parent == ""
    assert first.trace != second.trace


def test_the_span_of_a_task_that_failed_says_so_and_its_neighbour_does_not(collector: Collector) -> None:
    with tracing.task_spans(
        [TaskInvocation("one", PREDICT_ASYNC, []), TaskInvocation("two", PREDICT_ASYNC, [])]
    ) as set_outcomes:
        set_outcomes([{"home": 0.5}, ModelUnavailableError("no version is in production yet")])
    tracing.shutdown()
    assert sorted(span.failed for span in collector.spans) == [False, True]


@pytest.mark.parametrize(("status", "failed"), [(200, False), (404, False), (503, True)])
def test_the_span_of_a_request_is_named_after_its_route_and_fails_with_it(
    collector: Collector, status: int, failed: bool
) -> None:
    with tracing.span("GET", {}):
        tracing.end_span("GET /predict/{match_id}", status)
    tracing.shutdown()
    (span,) = collector.spans
    assert (span.name, span.failed) == ("GET /predict/{match_id}", failed)


def test_a_child_that_ends_sends_what_it_has_traced(
    collector: Collector, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_RESULT_BACKEND_URL", f"{valkey}/13")
    dependencies.get_settings.cache_clear()
    dependencies.get_redis.cache_clear()
    with tracing.task_spans([TaskInvocation("last", PREDICT_ASYNC, [])]):
        pass
    stop_child()
    dependencies.get_settings.cache_clear()
    dependencies.get_redis.cache_clear()
    assert [span.name for span in collector.spans] == ["run serving.predict"]
    assert isinstance(collector.spans[0], Span)
