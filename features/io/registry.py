"""The model registry (MLflow): the only module that knows MLflow."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import ModelUnavailableError

MODEL_NAME = "match-outcome"
STAGING, PRODUCTION, PREVIOUS = "staging", "production", "previous"

DATASET = "training.parquet"
"""Artefact of a run: the rows that its model was fitted on."""

T = TypeVar("T")


@dataclass(frozen=True)
class ModelVersion:
    """One registered version, as the registry tells it."""

    version: int
    run_id: str
    created_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    name: str = MODEL_NAME

    @property
    def trained_through(self) -> datetime:
        """Kick-off of the last match that the model was fitted on."""
        return datetime.fromisoformat(self.tags["trained_through"])


@dataclass(frozen=True)
class LoadedModel:
    """A version with its estimator in memory; `features` names the columns of its input, in order."""

    version: ModelVersion
    estimator: Any
    features: tuple[str, ...]

    def predict_proba(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n, 3) ordered home, draw, away for model input (n, len(features))."""
        unchecked = getattr(self.estimator, "_predict_proba_unchecked", None)
        is_valid = len(x) > 0 and x.shape[1:] == (len(self.features),) and np.isfinite(x).all()
        if unchecked is None or not is_valid:
            return np.asarray(self.estimator.predict_proba(x))  # raises with the reason
        return np.asarray(unchecked(x))


@dataclass(frozen=True)
class TrainingRun:
    """Everything that a training run leaves behind."""

    estimator: Any
    input_example: pd.DataFrame
    dataset: pd.DataFrame
    dataset_source: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    documents: Mapping[str, str] = field(default_factory=dict)


class Registry:
    """Versions of `match-outcome` behind one tracking server."""

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri

    def register(self, training: TrainingRun, experiment: str = MODEL_NAME) -> ModelVersion:
        """Log a training run with its model and register it; the new version gets the alias `staging`."""
        import mlflow.sklearn
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.models import infer_signature

        from features.models import TRUSTED_TYPES  # brings scikit-learn, which most readers of a registry do without

        def log() -> ModelVersion:
            mlflow.set_tracking_uri(self.tracking_uri)
            self._select_experiment(experiment)
            with mlflow.start_run(tags=dict(training.tags)) as run:
                mlflow.log_params(dict(training.params))
                mlflow.log_metrics(dict(training.metrics))
                for path, text in training.documents.items():
                    mlflow.log_text(text, path)
                data = from_pandas(training.dataset, source=training.dataset_source, name="match_features")
                mlflow.log_input(data, context="training")
                with tempfile.TemporaryDirectory() as folder:  # the table it came from is overwritten every day
                    training.dataset.to_parquet(Path(folder, DATASET), compression="zstd", index=False)
                    mlflow.log_artifact(str(Path(folder, DATASET)))
                example = training.input_example.astype("float64")
                info = mlflow.sklearn.log_model(
                    training.estimator,
                    name="model",
                    signature=infer_signature(example, training.estimator.predict_proba(example.to_numpy())),
                    input_example=example,
                    pyfunc_predict_fn="predict_proba",
                    registered_model_name=MODEL_NAME,
                    pip_requirements=["scikit-learn", "skops", "numpy", "pandas"],
                    skops_trusted_types=list(TRUSTED_TYPES),
                )
                version = int(info.registered_model_version)
                client = self._client()
                for key, value in {**training.tags, "run_id": run.info.run_id}.items():
                    client.set_model_version_tag(MODEL_NAME, str(version), key, value)
                client.set_registered_model_alias(MODEL_NAME, STAGING, str(version))
            found = self.version(version)
            if found is None:
                raise ModelUnavailableError(
                    f"version {version} is missing in {self.tracking_uri} just after registration"
                )
            return found

        return self._call_server(log)

    def by_alias(self, alias: str) -> ModelVersion | None:
        """The version that bears an alias; None if none does."""

        def look() -> ModelVersion | None:
            from mlflow.exceptions import MlflowException

            try:
                return _as_version(self._client().get_model_version_by_alias(MODEL_NAME, alias))
            except MlflowException as error:
                # no such model, and such a model without the alias
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise

        return self._call_server(look)

    def version(self, number: int) -> ModelVersion | None:
        """One version by number; None if there is no such version."""
        return next((version for version in self.versions() if version.version == number), None)

    def versions(self) -> list[ModelVersion]:
        """All versions, newest first."""

        def search() -> list[ModelVersion]:
            from mlflow.exceptions import MlflowException

            client = self._client()
            try:
                aliases = client.get_registered_model(MODEL_NAME).aliases
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return []
                raise
            found = client.search_model_versions(f"name='{MODEL_NAME}'")
            return sorted((_as_version(one, _aliases_of(aliases, one)) for one in found), key=lambda one: -one.version)

        return self._call_server(search)

    def load(self, version: ModelVersion) -> LoadedModel:
        """Load a version's estimator and the column order of its signature."""

        def fetch() -> LoadedModel:
            import mlflow.artifacts
            import mlflow.sklearn

            mlflow.set_tracking_uri(self.tracking_uri)
            uri = f"models:/{MODEL_NAME}/{version.version}"
            # Left to itself, MLflow fetches the model twice and leaves both copies behind.
            with tempfile.TemporaryDirectory(prefix="touchline-model-") as folder:
                path = mlflow.artifacts.download_artifacts(uri, dst_path=folder)
                columns = tuple(mlflow.models.get_model_info(path).signature.inputs.input_names())
                return LoadedModel(version, mlflow.sklearn.load_model(path), columns)

        return self._call_server(fetch)

    @staticmethod
    def preload() -> None:
        """Import what loading needs: done once before a process forks, its children load in a fraction of the time."""
        for module in ("mlflow.sklearn", "skops.io", "features.models"):
            importlib.import_module(module)

    def set_alias(self, alias: str, version: int) -> None:
        """Give an alias to a version, taking it from whichever had it."""
        self._call_server(lambda: self._client().set_registered_model_alias(MODEL_NAME, alias, str(version)))

    def remove_alias(self, alias: str) -> None:
        """Take an alias away."""
        self._call_server(lambda: self._client().delete_registered_model_alias(MODEL_NAME, alias))

    def set_tags(self, version: int, tags: Mapping[str, str]) -> None:
        """Write tags on a version."""

        def write() -> None:
            for key, value in tags.items():
                self._client().set_model_version_tag(MODEL_NAME, str(version), key, value)

        self._call_server(write)

    def remove_tags(self, version: int, names: Iterable[str]) -> None:
        """Take tags off a version; those it does not have are no error."""

        def delete() -> None:
            found = self.version(version)
            for name in set(names) & set(found.tags if found else ()):
                self._client().delete_model_version_tag(MODEL_NAME, str(version), name)

        self._call_server(delete)

    def _select_experiment(self, experiment: str) -> None:
        """Choose the experiment. A registry in a file keeps its artefacts beside it, not in the working directory."""
        import mlflow

        if self.tracking_uri.startswith("sqlite:///") and mlflow.get_experiment_by_name(experiment) is None:
            beside = Path(self.tracking_uri.removeprefix("sqlite:///")).absolute().with_suffix(".artifacts")
            mlflow.create_experiment(experiment, artifact_location=beside.as_uri())
        mlflow.set_experiment(experiment)

    def _client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(self.tracking_uri, self.tracking_uri)

    def _call_server(self, call: Callable[[], T]) -> T:
        """Run a call against the server; a failure says which server and why."""
        # MLflow retries for minutes by default; whoever calls this has a user or a schedule waiting.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow.exceptions import MlflowException

        try:
            return call()
        except (MlflowException, OSError) as error:
            raise ModelUnavailableError(f"model registry at {self.tracking_uri}: {error}") from error


def _aliases_of(aliases: Mapping[str, Any], one: Any) -> list[str]:
    return [name for name, bearer in aliases.items() if int(bearer) == int(one.version)]


def _as_version(one: Any, aliases: Iterable[str] | None = None) -> ModelVersion:
    return ModelVersion(
        version=int(one.version),
        run_id=one.run_id,
        created_at=datetime.fromtimestamp(one.creation_timestamp / 1000, UTC),
        tags=dict(one.tags),
        aliases=tuple(sorted(one.aliases if aliases is None else aliases)),
    )
