"""Settings of the API and of the worker: `TOUCHLINE_<FIELD>`, beside those that every process shares."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import AliasChoices, Field, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsError

from features.errors import InvalidInputError
from features.io.environment import prepare_environment
from features.io.settings import Settings, split_list, validation_messages
from serving.addresses import Address, parse_address

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\](:\d+)?|[^/?#@\s\[\]\"']+)/?", re.IGNORECASE)
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


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
    api_root_path: str = Field(
        "",
        description="Path under which a reverse proxy publishes the API, such as /touchline. The proxy removes it from "
        "requests; documents and links of the API contain it.",
    )
    api_keys_file: Path | None = Field(None, description="File of `name:sha256` lines; default: no keys required.")
    api_processes: int = Field(1, gt=0, description="API processes that share the port.")
    max_connections: int = Field(900, gt=0, description="Maximum number of open connections of one API process.")
    keep_alive_seconds: int = Field(
        75,
        gt=0,
        description="Seconds for which an idle connection is kept: longer than the balancer in front keeps its own.",
    )
    drain_file: Path | None = Field(
        None, description="While this file exists, the API is not ready and asks clients to reconnect; default: none."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins of web pages that may call the API from a browser, separated by commas: "
        "https://app.example,http://localhost:3000; * allows every page. Default: none.",
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

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, origins: object) -> object:
        return split_list(origins)

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what no browser sends as an origin: it would allow nothing, without notice."""
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin; expected origins separated by commas, such as "
                    "https://app.example,http://localhost:3000, or *"
                )
        return tuple(origin.rstrip("/").lower() for origin in origins)

    @field_validator("api_root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        path = path.rstrip("/")
        if path and not _ROOT_PATH.fullmatch(path):
            raise ValueError("expected a path that begins with /, such as /touchline")
        return path

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        _ = self.broker, self.results
        return self

    @cached_property
    def broker(self) -> Address:
        """Where the queue is."""
        return parse_address("TOUCHLINE_BROKER_URL", self.broker_url)

    @cached_property
    def results(self) -> Address:
        """Where results are kept and announced."""
        if self.result_backend_url:
            address = parse_address("TOUCHLINE_RESULT_BACKEND_URL", self.result_backend_url)
            if address.is_amqp:
                raise InvalidInputError("setting TOUCHLINE_RESULT_BACKEND_URL: it must be a Valkey or a Redis")
            return address
        return Address(is_amqp=False, port=6379) if self.broker.is_amqp else self.broker


def read_settings() -> ServingSettings:
    """The settings of this process, whose environment is cleared of the variables of other projects.

    If a setting or a variable cannot be used, the process ends with a sentence about each.
    """
    try:
        prepare_environment()
        return ServingSettings()
    except InvalidInputError as error:
        raise SystemExit(str(error)) from None
    except (ValidationError, SettingsError) as error:
        raise SystemExit("\n".join(validation_messages(error))) from None
