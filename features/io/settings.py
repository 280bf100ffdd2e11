"""Settings that every process shares. Each entry point builds its settings once and passes them down."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from features.teams import nearest

PREFIX = "TOUCHLINE_"


def _home() -> Path:
    """`.touchline` of the checkout, whatever folder a command is given in; without one, of the working folder."""
    checkout = Path(__file__).resolve().parents[2]
    return (checkout if (checkout / "workspace.yaml").exists() else Path()) / ".touchline"


class Settings(BaseSettings):
    """Read from `TOUCHLINE_<FIELD>`; nothing else in the code reads the environment."""

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
        None, description="The moment to stand at; default now, or inside 2025/26 with the bundled data."
    )
    mlflow_tracking_uri: str = Field("http://127.0.0.1:5000", description="MLflow tracking server and model registry.")
    seed: int = Field(20140816, description="Seed of everything random.")

    @field_validator("competitions", mode="before")
    @classmethod
    def _split(cls, names: object) -> object:
        return tuple(name.strip() for name in names.split(",") if name.strip()) if isinstance(names, str) else names

    @field_validator("as_of")
    @classmethod
    def _in_utc(cls, moment: datetime | None) -> datetime | None:
        """A moment without a timezone is taken as UTC, and a bare date as its midnight."""
        if moment is None:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    @property
    def lake_root(self) -> str:
        """Where the lake is: an absolute folder or an s3 address that says which server."""
        root = self.lake or str((self.home / "lake").absolute())
        if not root.startswith("s3://") or self.s3_endpoint is None or "endpoint_override" in root:
            return root
        scheme, _, host = self.s3_endpoint.rstrip("/").partition("://")
        return f"{root}{'&' if '?' in root else '?'}endpoint_override={quote(host)}&scheme={scheme}"


def misread(error: ValidationError | SettingsError) -> list[str]:
    """A sentence for each setting that cannot be used."""
    if isinstance(error, SettingsError):  # raised for what should be JSON, and names the field in its text alone
        field = str(error).partition('"')[2].partition('"')[0]
        return [f"setting {PREFIX}{field.upper()}={os.environ.get(PREFIX + field.upper())!r}: expected JSON"]
    return [
        f"setting {PREFIX}{'_'.join(str(part) for part in one['loc']).upper()}={one['input']!r}: {_expected(one)}"
        for one in error.errors()
    ]


def _expected(one: ErrorDetails) -> str:
    """What a closed set holds, or what pydantic says."""
    return f"expected {one['ctx']['expected'].replace(chr(39), '')}" if one["type"] == "enum" else one["msg"]


_SHARED = """
aliases as_of competitions files files_columns first_season football_data_url home lake mlflow_tracking_uri
openfootball_url s3_endpoint seed source
"""
_PIPELINE = """
api_url dagster_storage_url evaluate_from features first_week promotion_policy retraining_cap retraining_cool_down_days
step_pods weeks_ahead
"""
_LOCAL = "api_port broker_url dagster_port dagster_storage_url mlflow_port result_backend_url ui_port"
_SERVING = """
api_host api_keys_file api_port api_processes batch_limit body_timeout broker_url cors_origins heartbeat_dir log_level
max_body_bytes max_connections max_queued max_wait model_poll_seconds otlp_endpoint refresh_seconds result_backend_url
sync_timeout task_lifetime visibility_timeout worker_concurrency worker_metrics_port
"""
_UI = "api_key api_timeout api_url dagster_url grafana_url mlflow_url predict_timeout"
KINDS = {
    "features.io.settings:Settings": frozenset(_SHARED.split()),
    "orchestration.settings:PipelineSettings": frozenset(_PIPELINE.split()),
    "orchestration.local.stack:LocalSettings": frozenset(_LOCAL.split()),
    "serving.settings:ServingSettings": frozenset(_SERVING.split()),
    "ui.settings:UiSettings": frozenset(_UI.split()),
}
"""Settings of all processes, and their own fields beside the shared ones: who starts the processes knows the names of
all, and imports few."""
ALL = frozenset[str]().union(*KINDS.values())


def unknown(names: Iterable[str] | None = None) -> list[str]:
    """A sentence for each variable of ours among `names`, default the environment's, that is no setting at all."""
    known = {f"{PREFIX}{field.upper()}": field for field in sorted(ALL)}
    sentences = []
    for name in sorted(os.environ if names is None else names):
        if name.startswith(PREFIX) and name not in known:
            close = nearest(name.removeprefix(PREFIX), list(known.values()))
            hint = f"; did you mean {' or '.join(PREFIX + one.upper() for one in close)}?" if close else ""
            sentences.append(f"{name} is no setting{hint}")
    return sentences


def inherit(settings: Mapping[str, str]) -> None:
    """Let the settings of another process hold here too, where this one was given no other."""
    for name, value in settings.items():
        if name.startswith(PREFIX):
            os.environ.setdefault(name, value)


def given(fields: Iterable[str]) -> bool:
    """Whether the environment sets one of these fields."""
    return any(f"{PREFIX}{field.upper()}" in os.environ for field in fields)
