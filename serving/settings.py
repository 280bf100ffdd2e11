"""Settings of the API and of the worker: `TOUCHLINE_<FIELD>`, beside those that every process shares."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field

from features.io.settings import Settings


class ServingSettings(Settings):
    """Built once at each entry point and passed down."""

    broker_url: str = Field("redis://127.0.0.1:6379/0", description="RabbitMQ (amqp://) or Redis / Valkey (redis://).")
    result_backend_url: str | None = Field(
        None,
        description="Result store: Valkey, or Redis 7 or later. Default: the broker if it is Redis or Valkey, "
        "redis://127.0.0.1:6379/0 if it is RabbitMQ.",
    )
    api_host: str = Field("127.0.0.1", description="Address the API listens on.")
    api_port: int = Field(8000, description="Port the API listens on.")
    api_keys_file: Path | None = Field(None, description="File of `name:sha256` lines; default: no keys required.")
    api_processes: int = Field(1, gt=0, description="API processes that share the port.")
    max_connections: int = Field(900, gt=0, description="Maximum number of open connections of one API process.")
    drain_file: Path | None = Field(
        None, description="While this file exists, the API is not ready and asks clients to reconnect; default: none."
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins that browsers may call the API from, as a JSON list."
    )
    sync_timeout_seconds: float = Field(
        30.0, gt=0, description="Seconds that a synchronous request waits for its forecast."
    )
    result_ttl_seconds: int = Field(
        3600, gt=0, description="Seconds for which an accepted task and its result are kept."
    )
    max_body_bytes: int = Field(1_000_000, gt=0, description="Largest request body.")
    http_io_timeout_seconds: float = Field(
        10.0,
        gt=0,
        description="Timeout in seconds for receiving headers, receiving the body, and writing the response.",
    )
    shed_above_wait_seconds: float = Field(
        10.0, gt=0, description="Estimated queue wait in seconds above which requests are shed."
    )
    max_queue_length: int = Field(100_000, gt=0, description="Queue length above which asynchronous tasks are shed.")
    catalogue_refresh_seconds: float = Field(
        5.0, gt=0, description="Seconds between checks of the lake for new tables."
    )
    model_poll_seconds: float = Field(
        5.0, gt=0, description="Seconds between a worker's checks of the production alias."
    )
    worker_batch_size: int = Field(
        64, gt=0, description="Maximum number of tasks in one model call; also the prefetch count."
    )
    visibility_timeout_seconds: int = Field(
        150,
        gt=0,
        description="Seconds after which a Redis broker redelivers the task of a killed worker.",
    )
    worker_concurrency: int = Field(1, gt=0, description="Child processes of one worker.")
    worker_metrics_port: int | None = Field(None, description="Port for the worker's own Prometheus metrics.")
    heartbeat_dir: Path | None = Field(None, description="Folder of the worker's heartbeat files; default: none.")
    log_level: str = Field("INFO", description="Minimum level of log events.")
    otlp_endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("TOUCHLINE_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="OTLP/HTTP collector; default: no tracing.",
    )

    @property
    def results_url(self) -> str:
        """Where results are kept and announced."""
        if self.result_backend_url:
            return redis_scheme(self.result_backend_url)
        return self.celery_broker_url if not self.broker_is_amqp else "redis://127.0.0.1:6379/0"

    @property
    def broker_is_amqp(self) -> bool:
        """True for RabbitMQ, False for Redis and Valkey."""
        return self.broker_url.startswith(("amqp://", "amqps://", "pyamqp://"))

    @property
    def celery_broker_url(self) -> str:
        """The broker's address in a scheme that kombu knows."""
        return self.broker_url if self.broker_is_amqp else redis_scheme(self.broker_url)


def redis_scheme(url: str) -> str:
    """The address with the scheme of Redis, whose protocol Valkey speaks."""
    return url.replace("valkey://", "redis://", 1).replace("valkeys://", "rediss://", 1)
