"""On an empty lake, every job that needs data names the job that has to run first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from features.io.store import Lake
from features.matches import SCHEMA
from orchestration.definitions import build
from orchestration.jobs import ASSET_JOBS, TRAIN_MODEL, refresh_matches
from orchestration.settings import PipelineSettings

pytestmark = pytest.mark.medium

COMPETITION, WEEK = "eng-premier-league", "2026-02-02"
SUCCEEDS = "evaluate_candidate"
"""This job needs no data: it reports that no version is staged."""
FORMS: dict[str, dict[str, Any]] = {
    "approve_promotion": {"approve_candidate": {"version": 1, "name": "a", "reason": "b", "evidence": "c"}},
    "review_drift": {"record_review": {"week": WEEK, "name": "a", "note": "b", "evidence": "c"}},
}
JOBS = sorted({job.name for job in ASSET_JOBS} - {refresh_matches.name} | {TRAIN_MODEL, *FORMS, "backfill_weeks"})


@pytest.fixture(scope="module")
def registry_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry without a model."""
    return f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db"


def _errors(job_name: str, home: Path, registry_uri: str) -> list[str]:
    """Run a job and return "class: message" of the cause of each failed step."""
    definitions = build(PipelineSettings(home=home, mlflow_tracking_uri=registry_uri))
    job = definitions.resolve_job_def(job_name)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("competition", [COMPETITION])
        partition = None
        if job.partitions_def is not None:
            is_weekly = isinstance(job.partitions_def, dg.TimeWindowPartitionsDefinition)
            partition = WEEK if is_weekly else COMPETITION
        form = {"ops": {op: {"config": config} for op, config in FORMS.get(job_name, {}).items()}}
        result = job.execute_in_process(form, instance=instance, partition_key=partition, raise_on_error=False)
        errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    causes = [error.cause or error for error in errors if error is not None]
    return [f"{cause.cls_name}: {cause.message.strip()}" for cause in causes]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_on_an_empty_lake_names_what_to_run_first(name: str, tmp_path: Path, registry_uri: str) -> None:
    errors = _errors(name, tmp_path, registry_uri)
    assert bool(errors) is (name != SUCCEEDS)
    for error in errors:
        assert re.match(r"(NotPublishedError|Failure): ", error), error
        assert re.search(r"run the job \w+ first", error), error


def test_a_training_before_the_ratings_names_their_job(tmp_path: Path, registry_uri: str) -> None:
    matches = pd.DataFrame(SCHEMA.empty_table().to_pandas())
    Lake(str(tmp_path / "lake")).write_table("matches", COMPETITION, matches, SCHEMA)
    (error,) = _errors(TRAIN_MODEL, tmp_path, registry_uri)
    assert error.endswith("holds no ratings yet; run the job update_ratings first")
