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
from features.io.installed_recipes import REFERENCE
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
    files_columns: dict[str, str | dict[str, str]] = Field(
        {},
        description="The names of your columns, or constants after =, as JSON, also for some files alone: "
        '{"home_team": "Home", "season": "=2024-25", "ARG*.csv": {"competition": "=arg-superliga"}}.',
    )
    aliases: Path | None = Field(
        None,
        description="Your own aliases of clubs, in addition to the known ones: a CSV with the columns country (or "
        "competition), alias, canonical.",
    )
    rulings: Path | None = Field(
        None,
        description="Points deductions and other rulings, in addition to the known ones: a CSV with the columns "
        "competition, season, club, points, decided, reason.",
    )
    formats: str | None = Field(
        None,
        description="Formats of your own competitions, as JSON by slug or the path of a JSON file: "
        '{"atl-island-league": {"meetings": 1, "down": 2}}.',
    )
    competitions: Annotated[tuple[str, ...], NoDecode] = Field(
        ("eng-premier-league",), description="Competitions to follow, separated by commas."
    )
    as_of: datetime | None = Field(
        None, description="Time to forecast from; default: now, or a time within 2025/26 with the bundled data."
    )
    mlflow_tracking_uri: str = Field("http://127.0.0.1:5000", description="MLflow tracking server and model registry.")
    require_promotion_decision: bool = Field(
        False,
        description="Forecast only with versions that the promotion gate or a rollback put into production. If the "
        "alias was moved in MLflow, the version of the last decision is used.",
    )
    recipes: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Models of your own that can be trained, as package.module:factory, separated by commas. Pipeline "
        "and workers need their code.",
    )
    seed: int = Field(20140816, description="Seed of everything random.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_renamed_variables(cls, values: object) -> object:
        if sentences := renamed_variables():
            raise InvalidInputError("; ".join(sentences))
        return values

    @field_validator("competitions", "recipes", mode="before")
    @classmethod
    def _split(cls, names: object) -> object:
        return split_list(names)

    @field_validator("recipes")
    @classmethod
    def _check_references(cls, references: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [reference for reference in references if not REFERENCE.fullmatch(reference)]:
            raise ValueError(f"expected package.module:factory, got {wrong[0]!r}")
        return references

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


def split_list(setting: object) -> object:
    """Split a text at its commas, without blanks and repetitions; any other value stays for pydantic to check."""
    if not isinstance(setting, str):
        return setting
    return tuple(dict.fromkeys(part.strip() for part in setting.split(",") if part.strip()))


def validation_messages(error: ValidationError | SettingsError) -> list[str]:
    """Return one sentence for each setting that failed validation."""
    if isinstance(error, SettingsError):  # raised for malformed JSON; it names the field only in its text
        field = str(error).partition('"')[2].partition('"')[0]
        return [f"setting {PREFIX}{field.upper()}={os.environ.get(PREFIX + field.upper())!r}: expected JSON"]
    sentences: dict[str, str] = {}
    for detail in error.errors():
        field, *place = map(str, detail["loc"])
        inside = f" (in {place[0]!r})" if place else ""
        sentence = f"setting {PREFIX}{field.upper()}={detail['input']!r}{inside}: {_expectation(detail)}"
        sentences.setdefault(field, sentence)
    return list(sentences.values())


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


def use_home_for_compiled_code(home: Path) -> None:
    """Keep numba's compiled functions in the home of a run if the folder of the code is read-only.

    Otherwise numba writes below HOME, and fails if it may not. An environment that names a folder keeps it.
    """
    code = Path(__file__).resolve().parents[1] / "ratings"
    if not os.access(code, os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(home.absolute() / "numba"))


def is_set(fields: Iterable[str]) -> bool:
    """Return whether the environment sets any of these fields."""
    return any(f"{PREFIX}{field.upper()}" in os.environ for field in fields)
