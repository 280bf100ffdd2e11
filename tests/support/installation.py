"""A whole installation in a folder, on the bundled data."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import dagster as dg
import pandas as pd

from features.forecasts import SCHEMA as FORECASTS
from features.io.registry import PRODUCTION, Registry
from features.io.store import Lake
from monitoring.conditions import Policy
from orchestration.definitions import build
from orchestration.local.instance import prepare_instance
from orchestration.local.pipeline import run_pipeline
from orchestration.partitions import RANGE_END, RANGE_START
from orchestration.settings import PipelineSettings


@dataclass
class Installation:
    """The settings of a home folder, and access to what the pipeline writes there."""

    settings: PipelineSettings
    lines: list[str] = field(default_factory=list)

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake_root)

    @property
    def registry(self) -> Registry:
        return Registry(self.settings.mlflow_tracking_uri)

    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(prepare_instance(self.settings)))

    def run(self) -> list[str]:
        """Run the pipeline; return the lines that a user sees."""
        self.lines.clear()
        run_pipeline(self.settings, self.lines.append)
        return list(self.lines)

    def at(self, as_of: datetime) -> Installation:
        """The same home as of another time."""
        return Installation(self.settings.model_copy(update={"as_of": as_of}))

    def forecasts(self) -> pd.DataFrame:
        weeks = self.lake.partitions("forecasts")
        return pd.concat(
            [self.lake.read_table("forecasts", week, schema=FORECASTS) for week in weeks], ignore_index=True
        )


def install(home: Path, as_of: datetime | None = None) -> Installation:
    home.mkdir(parents=True, exist_ok=True)
    return Installation(PipelineSettings(home=home, as_of=as_of, mlflow_tracking_uri=f"sqlite:///{home}/mlflow.db"))


def copy_of(installed: Installation, home: Path, policy: Policy = Policy.AUTO) -> Installation:
    """A copy of the installation in another home; by default promotions there need no person."""
    shutil.copytree(installed.settings.home, home)
    settings = installed.settings.model_copy(
        update={"home": home, "mlflow_tracking_uri": f"sqlite:///{home}/mlflow.db", "promotion_policy": policy}
    )
    return Installation(settings)


def add_candidate(installation: Installation) -> None:
    """Stage version 2 and gather the evidence for it: every condition of the gate holds."""
    definitions = build(installation.settings)
    config = {"ops": {"outcome_model": {"config": {"regularisation": 0.012, "reason": "test"}}}}
    season = {RANGE_START: "2025-08-11", RANGE_END: "2026-03-09"}
    with installation.instance() as instance:
        for job, options in (
            ("train_model", {"run_config": config}),
            ("forecast_shadow", {"tags": season}),
            ("evaluate_candidate", {}),
        ):
            assert definitions.resolve_job_def(job).execute_in_process(instance=instance, **options).success
    assert installation.lake.read_json("reports/gate.json")["open"]
    production = installation.registry.by_alias(PRODUCTION)
    assert production is not None
    assert production.version == 1
