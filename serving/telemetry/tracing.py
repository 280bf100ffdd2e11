"""Spans across API, broker and worker, where an OTLP endpoint is set; without one nothing of it is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from serving.worker.execution import Call

_provider: TracerProvider | None = None


def configure(endpoint: str | None, service: str) -> None:
    """Send spans to a collector from now on. Call it in the process that makes them: threads do not survive a fork."""
    global _provider
    if endpoint is None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _provider = TracerProvider(resource=Resource({"service.name": f"touchline-{service}"}))
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    _provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))


def shutdown() -> None:
    """Send what is left."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None


@contextmanager
def span(name: str, parent: Mapping[str, str] | None = None, **attributes: Any) -> Iterator[dict[str, str]]:
    """A span around a block, below `parent` (a carrier; the empty one is none) or the current one; yields its own."""
    if _provider is None:
        yield {}
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    format_ = TraceContextTextMapPropagator()
    context = format_.extract(dict(parent)) if parent is not None else None
    with _provider.get_tracer("touchline").start_as_current_span(name, context, attributes=attributes):
        carrier: dict[str, str] = {}
        format_.inject(carrier)
        yield carrier


def carrier() -> dict[str, str]:
    """The current span, for a span that begins elsewhere."""
    if _provider is None:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(found)
    return found


@contextmanager
def spans(name: str, parents: Sequence[Mapping[str, str]], **attributes: Any) -> Iterator[list[dict[str, str]]]:
    """A span around a block below each parent, for work that is done for several at once; yields their carriers."""
    if _provider is None:
        yield []
        return
    with ExitStack() as stack:
        yield [stack.enter_context(span(name, parent, **attributes)) for parent in parents]


def answered(route: str | None, status: int) -> None:
    """Name the current span after its route, and say how it ended."""
    if _provider is None:
        return
    from opentelemetry.trace import Status, StatusCode, get_current_span

    current = get_current_span()
    current.set_attribute("http.response.status_code", status)
    if route is not None:
        current.update_name(route)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        current.set_status(Status(StatusCode.ERROR))


@contextmanager
def task_spans(calls: Sequence[Call]) -> Iterator[Callable[[Sequence[Any]], None]]:
    """A span for each request that a batch of tasks answers, below the one that sent it; yields what marks failures."""
    if _provider is None:
        yield lambda _: None
        return
    from opentelemetry.trace import Span, Status, StatusCode, get_current_span

    begun: list[list[Span]] = []

    def mark(answers: Sequence[Any]) -> None:
        for spans_of_call, answer in zip(begun, answers, strict=True):
            if isinstance(answer, Exception):
                for one in spans_of_call:
                    one.set_status(Status(StatusCode.ERROR, str(answer)))
                    one.record_exception(answer)

    with ExitStack() as stack:
        for call in calls:
            begun.append([])
            for parent in [{"traceparent": one} for one in call.traceparents] or [{}]:
                stack.enter_context(span(f"run {call.task}", parent, task_id=call.task_id, batch=len(calls)))
                begun[-1].append(get_current_span())
        yield mark
