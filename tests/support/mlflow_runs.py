"""What the training run behind a model version logged, read with MLflow's own client."""

from __future__ import annotations

import tempfile

import mlflow.artifacts
import pandas as pd
from mlflow import MlflowClient

from features.io.registry import DATASET, ModelVersion, Registry


def run_metrics(registry: Registry, version: ModelVersion) -> dict[str, float]:
    """Return the metrics of the run that trained a version."""
    return dict(MlflowClient(registry.tracking_uri).get_run(version.run_id).data.metrics)


def training_rows(registry: Registry, version: ModelVersion) -> pd.DataFrame:
    """Download the rows that a version was fitted on."""
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(
            run_id=version.run_id, artifact_path=DATASET, dst_path=folder, tracking_uri=registry.tracking_uri
        )
        return pd.read_parquet(path)
