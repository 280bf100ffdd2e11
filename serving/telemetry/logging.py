"""Logs as JSON lines, and the worker's own metrics."""

from __future__ import annotations

import logging
import sys

import structlog

from features.io.settings import unknown_variables
from monitoring import metrics
from serving.worker.execution import Report


def configure_logging(level: str) -> None:
    """One JSON object a line on standard error, ours and the libraries' alike; first, what the settings ignore."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # The libraries tell of every message at INFO, which costs more than it says.
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    for sentence in unknown_variables():
        structlog.get_logger(__name__).warning("setting.ignored", reason=sentence)


def observe(report: Report) -> None:
    """Count what a child did."""
    metrics.BATCH_SIZE.observe(report.matches)
    for seconds in report.queue_seconds:
        metrics.STAGE_DURATION.labels(metrics.Stage.QUEUE).observe(seconds)
    if report.version is not None:
        metrics.STAGE_DURATION.labels(metrics.Stage.FEATURES).observe(report.features_seconds)
        metrics.STAGE_DURATION.labels(metrics.Stage.MODEL).observe(report.model_seconds)
    for (mode, outcome), count in report.outcomes.items():
        metrics.PREDICTIONS.labels(mode, outcome).inc(count)
    for kind, count in report.errors.items():
        metrics.ERRORS.labels(kind).inc(count)
    for result, count in report.swaps.items():
        metrics.MODEL_RELOADS.labels(result).inc(count)


def serve_metrics(port: int) -> None:
    """The worker's collectors for Prometheus, from a thread of its main process."""
    from prometheus_client import start_http_server

    start_http_server(port, registry=metrics.registry())
