"""A whole installation in a temporary folder, on the bundled data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from features.forecasts import SCHEMA as FORECASTS
from features.io.registry import Registry
from features.io.store import Lake
from orchestration.pipeline import run_pipeline
from orchestration.settings import PipelineSettings


@dataclass
class Installation:
    """Settings of one home, and what the pipeline left there."""

    settings: PipelineSettings
    said: list[str] = field(default_factory=list)

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake_root)

    @property
    def registry(self) -> Registry:
        return Registry(self.settings.mlflow_tracking_uri)

    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.settings.home / "dagster"))

    def run(self) -> list[str]:
        """Run the pipeline; returns the lines that a user sees."""
        self.said.clear()
        run_pipeline(self.settings, self.said.append)
        return list(self.said)

    def at(self, moment: datetime) -> Installation:
        """The same home at another moment."""
        return Installation(self.settings.model_copy(update={"as_of": moment}))

    def forecasts(self) -> pd.DataFrame:
        weeks = self.lake.partitions("forecasts")
        return pd.concat(
            [self.lake.read_table("forecasts", week, schema=FORECASTS) for week in weeks], ignore_index=True
        )


def install(home: Path, as_of: datetime | None = None) -> Installation:
    home.mkdir(parents=True, exist_ok=True)
    return Installation(PipelineSettings(home=home, as_of=as_of, mlflow_tracking_uri=f"sqlite:///{home}/mlflow.db"))


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[datetime | None], Installation]:
    """An empty installation at a moment."""
    return lambda as_of=None: install(tmp_path / "home", as_of)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation after its first start; tests must not change it."""
    installation = install(tmp_path_factory.mktemp("touchline") / "home")
    installation.run()
    return installation
