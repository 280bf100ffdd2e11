"""Settings that every process shares. Each entry point builds its settings once and passes them down."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import AliasChoices, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from features.errors import InvalidInputError
from features.teams import suggest

PREFIX = "TOUCHLINE_"


def _home() -> Path:
    """`.touchline` in the checkout, whatever the working folder; outside a checkout, in the working folder."""
    checkout = Path(__file__).resolve().parents[2]
    return (checkout if (checkout / "workspace.yaml").exists() else Path()) / ".touchline"


class Settings(BaseSettings):
    """Values of `TOUCHLINE_<FIELD>`. No other code reads the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    home: Path = Field(
        default_factory=_home,
        description="State of a local run: lake, MLflow's and Dagster's databases, logs; default: .touchline in the "
        "folder of the project.",
    )
    lake: str | None = Field(None, description="Folder or s3://bucket/prefix of the lake; default: `lake` under home.")
    s3_endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("TOUCHLINE_S3_ENDPOINT", "AWS_ENDPOINT_URL"),
        description="Address of S3-compatible storage that is not Amazon's, for example http://minio:9000.",
    )
    source: str = Field(
        "bundled",
        description="Where matches come from: bundled, football_data, openfootball, files; several separated by "
        "commas are merged, the first taking precedence.",
    )
    first_season: int = Field(2015, ge=1872, description="Starting year of the first season to fetch.")
    football_data_url: str = Field("https://www.football-data.co.uk", description="football-data.co.uk or a mirror.")
    openfootball_url: str = Field(
        "https://raw.githubusercontent.com/openfootball/football.json/master",
        description="openfootball/football.json or a mirror.",
    )
    files: Path | None = Field(None, description="Your own matches: a CSV or parquet file, or a folder of them.")
    files_columns: dict[str, str] = Field(
        {}, description='What your columns are called, as JSON: {"home_team": "Home", "kick_off": "Date"}.'
    )
    aliases: Path | None = Field(
        None,
        description="Your own club names beside those that are known: a CSV with the columns country (or competition), "
        "alias, canonical.",
    )
    competitions: Annotated[tuple[str, ...], NoDecode] = Field(
        ("eng-premier-league",), description="Competitions to follow, separated by commas."
    )
    as_of: datetime | None = Field(
        None, description="Time to forecast from; default: now, or within 2025/26 with the bundled data."
    )
    mlflow_tracking_uri: str = Field("http://127.0.0.1:5000", description="MLflow tracking server and model registry.")
    seed: int = Field(20140816, description="Seed of everything random.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_renamed_variables(cls, values: object) -> object:
        if sentences := renamed_variables():
            raise InvalidInputError("; ".join(sentences))
        return values

    @field_validator("competitions", mode="before")
    @classmethod
    def _split(cls, names: object) -> object:
        return tuple(name.strip() for name in names.split(",") if name.strip()) if isinstance(names, str) else names

    @field_validator("as_of")
    @classmethod
    def _in_utc(cls, as_of: datetime | None) -> datetime | None:
        """Read a time without a timezone as UTC, and a bare date as midnight UTC."""
        if as_of is None:
            return None
        return as_of.replace(tzinfo=UTC) if as_of.tzinfo is None else as_of.astimezone(UTC)

    @property
    def lake_root(self) -> str:
        """Root of the lake: an absolute folder, or an s3:// address with the endpoint in its query."""
        root = self.lake or str((self.home / "lake").absolute())
        if not root.startswith("s3://") or self.s3_endpoint is None or "endpoint_override" in root:
            return root
        scheme, _, host = self.s3_endpoint.rstrip("/").partition("://")
        return f"{root}{'&' if '?' in root else '?'}endpoint_override={quote(host)}&scheme={scheme}"


def validation_messages(error: ValidationError | SettingsError) -> list[str]:
    """Write one sentence for each setting that failed validation."""
    if isinstance(error, SettingsError):  # raised for malformed JSON; it names the field only in its text
        field = str(error).partition('"')[2].partition('"')[0]
        return [f"setting {PREFIX}{field.upper()}={os.environ.get(PREFIX + field.upper())!r}: expected JSON"]
    return [
        f"setting {PREFIX}{'_'.join(map(str, detail['loc'])).upper()}={detail['input']!r}: {_expectation(detail)}"
        for detail in error.errors()
    ]


def _expectation(detail: ErrorDetails) -> str:
    """The members of a closed set, otherwise pydantic's message."""
    if detail["type"] == "enum":
        return f"expected {detail['ctx']['expected'].replace(chr(39), '')}"
    return detail["msg"]


_SHARED = """
aliases as_of competitions files files_columns first_season football_data_url home lake mlflow_tracking_uri
openfootball_url s3_endpoint seed source
"""
_PIPELINE = """
api_url dagster_storage_url evaluation_first_season features first_published_week forecast_horizon_weeks k8s_step_pods
max_alarm_retrainings promotion_policy retraining_cool_down_days
"""
_LOCAL = "api_port broker_url dagster_port dagster_storage_url mlflow_port result_backend_url ui_port"
_SERVING = """
api_host api_keys_file api_port api_processes broker_url catalogue_refresh_seconds cors_origins heartbeat_dir
http_io_timeout_seconds log_level max_body_bytes max_connections max_queue_length model_poll_seconds otlp_endpoint
result_backend_url result_ttl_seconds shed_above_wait_seconds sync_timeout_seconds visibility_timeout worker_batch_size
worker_concurrency worker_metrics_port
"""
_UI = "api_key api_timeout api_url dagster_url grafana_url mlflow_url predict_timeout"
SETTINGS_CLASSES = {
    "features.io.settings:Settings": frozenset(_SHARED.split()),
    "orchestration.settings:PipelineSettings": frozenset(_PIPELINE.split()),
    "orchestration.local.services:LocalSettings": frozenset(_LOCAL.split()),
    "serving.settings:ServingSettings": frozenset(_SERVING.split()),
    "ui.settings:UiSettings": frozenset(_UI.split()),
}
"""Each settings class and the fields it adds to the shared ones. A process has to recognise the settings of all others,
even those whose code its image lacks; tests/contracts/test_settings.py compares these names with the classes."""
KNOWN_FIELDS = frozenset[str]().union(*SETTINGS_CLASSES.values())
RENAMED_FIELDS = {
    "batch_limit": "worker_batch_size",
    "body_timeout": "http_io_timeout_seconds",
    "evaluate_from": "evaluation_first_season",
    "first_week": "first_published_week",
    "max_queued": "max_queue_length",
    "max_wait": "shed_above_wait_seconds",
    "predict_patience": "predict_timeout",
    "refresh_seconds": "catalogue_refresh_seconds",
    "retraining_cap": "max_alarm_retrainings",
    "step_pods": "k8s_step_pods",
    "sync_timeout": "sync_timeout_seconds",
    "task_lifetime": "result_ttl_seconds",
    "weeks_ahead": "forecast_horizon_weeks",
}
"""Names of version 0.1 and their successors. No process starts while an old variable is set: its value would otherwise
be ignored without notice."""


def renamed_variables(names: Iterable[str] | None = None) -> list[str]:
    """Write one sentence for each variable among `names` (default: the environment's) that has a new name."""
    successors = {f"{PREFIX}{old.upper()}": f"{PREFIX}{new.upper()}" for old, new in RENAMED_FIELDS.items()}
    given = os.environ if names is None else names
    return [
        f"setting {name} was renamed; set {successors[name]} instead" for name in sorted(given) if name in successors
    ]


def unknown_variables(names: Iterable[str] | None = None) -> list[str]:
    """Write one sentence for each TOUCHLINE_ variable among `names` (default: the environment's) that is no setting."""
    known = {f"{PREFIX}{field.upper()}": field for field in sorted(KNOWN_FIELDS)}
    given = os.environ if names is None else names
    sentences = renamed_variables(given)
    for name in sorted(given):
        field = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and name not in known and field.lower() not in RENAMED_FIELDS:
            similar = suggest(field, list(known.values()))
            hint = f"; did you mean {' or '.join(PREFIX + match.upper() for match in similar)}?" if similar else ""
            sentences.append(f"unknown setting {name}{hint}")
    return sentences


def apply_defaults(settings: Mapping[str, str]) -> None:
    """Copy the settings of another process into the environment; variables that are set here keep their values."""
    for name, value in settings.items():
        if name.startswith(PREFIX):
            os.environ.setdefault(name, value)


def is_set(fields: Iterable[str]) -> bool:
    """Tell whether the environment sets any of these fields."""
    return any(f"{PREFIX}{field.upper()}" in os.environ for field in fields)
