"""Dagster's instance of a local run: where its configuration lies, and where its runs are kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from features.io.settings import Settings

OUTSIDE = """storage:
  postgres:
    postgres_url:
      env: TOUCHLINE_DAGSTER_STORAGE_URL
"""


class InstanceSettings(Settings):
    """Where Dagster keeps its runs."""

    dagster_storage_url: str | None = Field(
        None, description="PostgreSQL that keeps Dagster's runs, as postgresql://…; default: files under home."
    )


def prepare_instance(settings: InstanceSettings) -> Path:
    """The folder of the instance, its dagster.yaml up to date."""
    home = (settings.home / "dagster").absolute()
    home.mkdir(parents=True, exist_ok=True)
    config, text = home / "dagster.yaml", (Path(__file__).parent / "dagster.yaml").read_text()
    if settings.dagster_storage_url:
        text += OUTSIDE
    if not config.exists() or config.read_text() != text:  # running processes read it
        config.write_text(text)
    return home
