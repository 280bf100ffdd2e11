"""The worker's own Prometheus metrics, kept by its main process."""

from __future__ import annotations

from monitoring import metrics
from serving.wire.dead_letters import RefusalKind
from serving.worker.execution import BatchReport


def observe_batch(report: BatchReport) -> None:
    """Add a child's report to the metrics."""
    metrics.MATCHES_PER_CALL.observe(report.matches)
    for seconds in report.queue_seconds:
        metrics.STAGE_DURATION.labels(metrics.Stage.QUEUE).observe(seconds)
    if report.version is not None:
        metrics.STAGE_DURATION.labels(metrics.Stage.FEATURES).observe(report.features_seconds)
        metrics.STAGE_DURATION.labels(metrics.Stage.MODEL).observe(report.model_seconds)
    for (mode, outcome), count in report.outcomes.items():
        metrics.PREDICTIONS.labels(mode, outcome).inc(count)
    for kind, count in report.errors.items():
        metrics.ERRORS.labels(kind).inc(count)
    for result, count in report.reloads.items():
        metrics.MODEL_RELOADS.labels(result).inc(count)


def serve_metrics(port: int) -> None:
    """Expose the metrics from a thread of the main process."""
    from prometheus_client import start_http_server

    for kind in RefusalKind:  # from zero, so that an alert sees the first one, too
        metrics.REFUSED_MESSAGES.labels(kind)
    start_http_server(port, registry=metrics.registry())
