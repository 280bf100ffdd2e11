"""The Dagster instance of a local run: its folder and its configuration."""

from __future__ import annotations

from pathlib import Path

from orchestration.dagster_instance_settings import InstanceSettings

POSTGRES_STORAGE = """storage:
  postgres:
    postgres_url:
      env: TOUCHLINE_DAGSTER_STORAGE_URL
"""


def prepare_instance(settings: InstanceSettings) -> Path:
    """Create the instance's folder and bring its dagster.yaml up to date; returns the folder."""
    home = (settings.home / "dagster").absolute()
    home.mkdir(parents=True, exist_ok=True)
    config, text = home / "dagster.yaml", (Path(__file__).parent / "dagster.yaml").read_text()
    if settings.dagster_storage_url:
        text += POSTGRES_STORAGE
    # Running processes read the file, so it is written only if it has changed.
    if not config.exists() or config.read_text() != text:
        config.write_text(text)
    return home
