"""MLflow's server runs out of disk space while a training is logged to it; publishing is in test_store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from features.errors import ModelUnavailableError
from features.io.registry import MODEL_NAME, STAGING, Registry, TrainingRun
from features.models import outcome_model
from tests.support.mlflow_server import Tracking
from tests.support.small_disk import fill, small_disk


def training() -> TrainingRun:
    """A run with a copy of its rows that takes some 100 kB."""
    x, y = np.random.default_rng(0).normal(size=(6000, 2)), np.arange(6000) % 3
    frame = pd.DataFrame(x, columns=["elo", "pi"])
    return TrainingRun(
        estimator=outcome_model().fit(x, y),
        input_example=frame.head(2),
        dataset=frame.assign(outcome=y),
        dataset_source="lake/match_features",
        params={"seed": 0},
        metrics={"rps": 0.2},
        tags={"trained_through": "2025-05-25T15:00:00+00:00"},
    )


@pytest.mark.service
@pytest.mark.medium
def test_full_disk_leaves_no_half_registered_version(tmp_path: Path) -> None:
    """Neither the disk of the database nor that of the models has room, before or in the middle of a file."""
    with small_disk(tmp_path / "database", 12_000) as database, small_disk(tmp_path / "models", 1_000) as models:
        server = Tracking(f"sqlite:///{database}/mlflow.db", tmp_path, models)
        server.start()
        try:
            registry, client = Registry(server.url), MlflowClient(server.url)
            first = registry.register(training())
            for disk, free_bytes in ((database, 0), (models, 0), (models, 60_000)):
                filler = fill(disk, free_bytes)
                with pytest.raises(ModelUnavailableError) as raised:
                    registry.register(training())
                assert "\n" not in str(raised.value)
                assert ("full disk" in str(raised.value)) is (disk == database)
                filler.unlink()
                assert [entry.version for entry in client.search_model_versions(f"name='{MODEL_NAME}'")] == ["1"]
                staged = registry.by_alias(STAGING)
                assert staged is not None
                assert staged.version == first.version
            assert registry.register(training()).aliases == (STAGING,)
        finally:
            server.kill()
