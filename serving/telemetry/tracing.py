"""Spans across API, broker and worker. Without an OTLP endpoint every function here does nothing.

OpenTelemetry is imported only if an endpoint is set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_provider: TracerProvider | None = None


class TracedTask(Protocol):
    """A task and the trace contexts (W3C `traceparent`) of the requests that it answers."""

    @property
    def task_id(self) -> str: ...

    @property
    def task(self) -> str: ...

    @property
    def traceparents(self) -> Sequence[str]: ...


def configure(endpoint: str | None, service: str) -> None:
    """Send spans to a collector from now on.

    Call this in the process that makes the spans, because the sending thread does not survive a fork.
    """
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
    """Send the remaining spans."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None


@contextmanager
def span(name: str, parent: Mapping[str, str] | None = None, **attributes: Any) -> Iterator[dict[str, str]]:
    """A span around a block; yields its trace context.

    Its parent is the trace context `parent`; an empty one means no parent, None means the current span.
    """
    if _provider is None:
        yield {}
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()
    context = propagator.extract(dict(parent)) if parent is not None else None
    with _provider.get_tracer("touchline").start_as_current_span(name, context, attributes=attributes):
        trace_context: dict[str, str] = {}
        propagator.inject(trace_context)
        yield trace_context


def current_context() -> dict[str, str]:
    """The trace context of the current span, for a span that begins in another process."""
    if _provider is None:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    trace_context: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(trace_context)
    return trace_context


@contextmanager
def spans(name: str, parents: Sequence[Mapping[str, str]], **attributes: Any) -> Iterator[list[dict[str, str]]]:
    """One span around a block for each parent, for work that serves several requests; yields their trace contexts."""
    if _provider is None:
        yield []
        return
    with ExitStack() as stack:
        yield [stack.enter_context(span(name, parent, **attributes)) for parent in parents]


def end_span(route: str | None, status: int) -> None:
    """Name the current span after its route, and set its HTTP status."""
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
def task_spans(tasks: Sequence[TracedTask]) -> Iterator[Callable[[Sequence[Any]], None]]:
    """One span for each request that a batch of tasks answers, below the span that published it.

    Yields a function that takes the output of each task and marks the spans of those that are exceptions.
    """
    if _provider is None:
        yield lambda _: None
        return
    from opentelemetry.trace import Span, Status, StatusCode, get_current_span

    spans_by_task: list[list[Span]] = []

    def set_outcomes(outputs: Sequence[Any]) -> None:
        for task_spans, output in zip(spans_by_task, outputs, strict=True):
            if isinstance(output, Exception):
                for task_span in task_spans:
                    task_span.set_status(Status(StatusCode.ERROR, str(output)))
                    task_span.record_exception(output)

    with ExitStack() as stack:
        for task in tasks:
            spans_by_task.append([])
            for parent in [{"traceparent": traceparent} for traceparent in task.traceparents] or [{}]:
                stack.enter_context(span(f"run {task.task}", parent, task_id=task.task_id, batch=len(tasks)))
                spans_by_task[-1].append(get_current_span())
        yield set_outcomes
