"""A whole installation in a temporary folder, on the bundled data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from features.forecasts import SCHEMA as FORECASTS
from features.io.registry import PRODUCTION, Registry
from features.io.store import Lake
from monitoring.conditions import Policy
from orchestration.definitions import build
from orchestration.local.pipeline import run_pipeline
from orchestration.partitions import RANGE_END, RANGE_START
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


def copy_of(installed: Installation, home: Path) -> Installation:
    """The installation in another home, where promotions need no person."""
    shutil.copytree(installed.settings.home, home)
    settings = installed.settings.model_copy(
        update={"home": home, "mlflow_tracking_uri": f"sqlite:///{home}/mlflow.db", "promotion_policy": Policy.AUTO}
    )
    return Installation(settings)


def with_candidate(here: Installation) -> Installation:
    """The same, with version 2 staged and nothing shut."""
    definitions = build(here.settings)
    config = {"ops": {"outcome_model": {"config": {"regularisation": 0.11, "reason": "test"}}}}
    season = {RANGE_START: "2025-08-11", RANGE_END: "2026-03-09"}
    with here.instance() as instance:
        for job, options in (
            ("train_model", {"run_config": config}),
            ("forecast_shadow", {"tags": season}),
            ("evaluate_candidate", {}),
        ):
            assert definitions.resolve_job_def(job).execute_in_process(instance=instance, **options).success
    assert here.lake.read_json("reports/gate.json")["open"]
    assert here.registry.by_alias(PRODUCTION).version == 1
    return here


@pytest.fixture
def copied(installed: Installation, tmp_path: Path) -> Installation:
    """A copy of the installation that a test may change."""
    return copy_of(installed, tmp_path / "home")


@pytest.fixture
def open_gate(copied: Installation) -> Installation:
    """An installation in which version 2 is staged and nothing is shut."""
    return with_candidate(copied)


@pytest.fixture(scope="module")
def judged(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with a candidate that forecasts in the shadow and waits for a person; for a module's tests."""
    here = with_candidate(copy_of(installed, tmp_path_factory.mktemp("judged") / "home"))
    return Installation(here.settings.model_copy(update={"promotion_policy": Policy.MANUAL}))
