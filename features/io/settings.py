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
from features.io.setting_names import PREFIX, renamed_variables


def _home() -> Path:
    """Return `.touchline` in the checkout, or in the working folder if there is no checkout."""
    checkout = Path(__file__).resolve().parents[2]
    return (checkout if (checkout / "workspace.yaml").exists() else Path()) / ".touchline"


class Settings(BaseSettings):
    """Values of `TOUCHLINE_<FIELD>`. No other code reads the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    home: Path = Field(
        default_factory=_home,
        description="Folder for the state of a local run: lake, databases of MLflow and Dagster, logs; default: "
        ".touchline in the project folder.",
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
        {}, description='The names of your columns, as JSON: {"home_team": "Home", "kick_off": "Date"}.'
    )
    aliases: Path | None = Field(
        None,
        description="Your own aliases of clubs, in addition to the known ones: a CSV with the columns country (or "
        "competition), alias, canonical.",
    )
    competitions: Annotated[tuple[str, ...], NoDecode] = Field(
        ("eng-premier-league",), description="Competitions to follow, separated by commas."
    )
    as_of: datetime | None = Field(
        None, description="Time to forecast from; default: now, or a time within 2025/26 with the bundled data."
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
    """Return one sentence for each setting that failed validation."""
    if isinstance(error, SettingsError):  # raised for malformed JSON; it names the field only in its text
        field = str(error).partition('"')[2].partition('"')[0]
        return [f"setting {PREFIX}{field.upper()}={os.environ.get(PREFIX + field.upper())!r}: expected JSON"]
    return [
        f"setting {PREFIX}{'_'.join(map(str, detail['loc'])).upper()}={detail['input']!r}: {_expectation(detail)}"
        for detail in error.errors()
    ]


def _expectation(detail: ErrorDetails) -> str:
    """Return the allowed values of an enum, otherwise pydantic's message."""
    if detail["type"] == "enum":
        return f"expected {detail['ctx']['expected'].replace(chr(39), '')}"
    return detail["msg"]


def apply_defaults(settings: Mapping[str, str]) -> None:
    """Copy the settings of another process into the environment; variables that are already set keep their values."""
    for name, value in settings.items():
        if name.startswith(PREFIX):
            os.environ.setdefault(name, value)


def is_set(fields: Iterable[str]) -> bool:
    """Return whether the environment sets any of these fields."""
    return any(f"{PREFIX}{field.upper()}" in os.environ for field in fields)
