"""The Dagster instance of a local run: its folder and its configuration."""

from __future__ import annotations

import json
from pathlib import Path

from orchestration.dagster_instance_settings import InstanceSettings

LOCAL_STORAGE = """storage:
  custom:
    module: orchestration.local.run_history
    class: RunHistory
    config:
      base_dir: {home}
run_launcher:
  module: orchestration.local.run_launcher
  class: LocalRunLauncher
"""
"""Only without a shared database: runs in it may have their processes on other machines."""

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
    text += POSTGRES_STORAGE if settings.dagster_storage_url else LOCAL_STORAGE.format(home=json.dumps(str(home)))
    # Running processes read the file, so it is written only if it has changed.
    if not config.exists() or config.read_text() != text:
        config.write_text(text)
    return home
