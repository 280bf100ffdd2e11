"""Model registry; the only module that imports MLflow."""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import InvalidInputError, ModelUnavailableError
from features.io import model_artefact
from features.io.environment import remove_foreign_variables
from features.io.installed_recipes import InstalledRecipes

MODEL_NAME = "match-outcome"
STAGING, PRODUCTION, PREVIOUS = "staging", "production", "previous"

DATASET = "training.parquet"
"""Artefact of a training run: the rows that its model was fitted on."""

UNFINISHED = "registration_unfinished"
"""Tag of a version until everything that belongs to it is stored; it is neither listed nor staged before."""

T = TypeVar("T")


@dataclass(frozen=True)
class ModelVersion:
    """Registered version of the model.

    Attributes
    ----------
    run_id : id of the training run.
    created_at : timezone-aware, UTC.
    tags : tags that training and promotion wrote.
    aliases : sorted.
    """

    version: int
    run_id: str
    created_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    name: str = MODEL_NAME

    @property
    def trained_through(self) -> datetime:
        """Kick-off of the last match that the model was fitted on.

        Raises
        ------
        ModelUnavailableError
            If the tag is missing or no timestamp with a time zone: training did not register this version.
        """
        tag = self.tags.get("trained_through", "")
        try:
            through = datetime.fromisoformat(tag)
        except ValueError:
            through = None
        if through is None or through.tzinfo is None:
            raise ModelUnavailableError(
                f"version {self.version} of {self.name} cannot be used: its tag trained_through is {tag!r}, not a "
                "timezone-aware timestamp; the job train_model sets it"
            )
        return through


@dataclass(frozen=True)
class LoadedModel:
    """Version with its estimator in memory.

    Attributes
    ----------
    features : names of the columns of its input, in order.
    """

    version: ModelVersion
    estimator: Any
    features: tuple[str, ...]

    def predict_proba(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict probabilities (n, 3), ordered home, draw, away, from model input (n, len(features)).

        Raises
        ------
        ValueError
            If the input is empty, has the wrong number of columns, or is not finite in a column that must be finite.
        """
        unchecked = getattr(self.estimator, "_predict_proba_unchecked", None)
        is_valid = len(x) > 0 and x.shape[1:] == (len(self.features),) and np.isfinite(x).all()
        if unchecked is None or not is_valid:
            return np.asarray(self.estimator.predict_proba(x))  # raises an error if the input is invalid
        return np.asarray(unchecked(x))


@dataclass(frozen=True)
class TrainingRun:
    """Everything that the registry stores about a training run.

    Attributes
    ----------
    estimator : fitted model.
    input_example : a few rows of model input.
    dataset : the rows that the estimator was fitted on.
    dataset_source : where they come from.
    tags : tags of the run and of the version.
    documents : texts by path of the artefact.
    trusted_types : import paths of the types inside the estimator that its recipe trusts.
    """

    estimator: Any
    input_example: pd.DataFrame
    dataset: pd.DataFrame
    dataset_source: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    documents: Mapping[str, str] = field(default_factory=dict)
    summary: str = "training"
    """What the run is, in a few words; its name is the version and this."""
    trusted_types: tuple[str, ...] = ()


class Registry:
    """Versions of the model `match-outcome` on a tracking server or in a database file.

    Every method raises `ModelUnavailableError` if the registry does not respond.

    Parameters
    ----------
    recipes : recipes of this process; a version that was made by another one is not loaded. Default: those that are
        built in or installed as entry points.
    """

    def __init__(self, tracking_uri: str, recipes: InstalledRecipes | None = None) -> None:
        remove_foreign_variables()  # `MLFLOW_RUN_ID`, for example, would log our training to a run of another project
        self.tracking_uri = tracking_uri
        self._recipes = recipes or InstalledRecipes()

    def register(
        self,
        training: TrainingRun,
        experiment: str = MODEL_NAME,
        before_staging: Callable[[ModelVersion], None] = lambda _: None,
    ) -> ModelVersion:
        """Log a training run, register its model and give the new version the alias `staging`.

        Parameters
        ----------
        before_staging : is called with the registered version, to publish what belongs to it. If it raises an error, or
            anything else fails, for example because the disk is full, the version is removed.
        """
        run_id, model_id = self._call_server(lambda: self._log(training, experiment))
        version = self._call_server(lambda: self._create_version(training, run_id, model_id))
        try:
            self._call_server(lambda: self._link_version(version, training, model_id))
            before_staging(version)
            self._call_server(lambda: self._stage(version.version))
        except BaseException:
            with suppress(ModelUnavailableError):  # if it cannot be removed now, its tag keeps it out of every list
                self._call_server(lambda: self._client().delete_model_version(MODEL_NAME, str(version.version)))
            raise
        registered = self.version(version.version)
        if registered is None:
            raise ModelUnavailableError(
                f"version {version.version} is missing from {self.tracking_uri} right after its registration"
            )
        return registered

    def _log(self, training: TrainingRun, experiment: str) -> tuple[str, str]:
        """Log a training run with its model; returns the ids of both."""
        import mlflow.sklearn
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.models import infer_signature

        from features.models import TRUSTED_TYPES  # imported here: it loads scikit-learn

        mlflow.set_tracking_uri(self.tracking_uri)
        self._select_experiment(experiment)
        with mlflow.start_run(run_name=training.summary, tags=dict(training.tags)) as run:
            mlflow.log_params(dict(training.params))
            mlflow.log_metrics(dict(training.metrics))
            for path, text in training.documents.items():
                mlflow.log_text(text, path)
            if len(training.dataset):  # MLflow cannot describe a table without rows
                data = from_pandas(training.dataset, source=training.dataset_source, name="match_features")
                mlflow.log_input(data, context="training")
            with tempfile.TemporaryDirectory() as folder:  # a copy: the table is overwritten every day
                training.dataset.to_parquet(Path(folder, DATASET), compression="zstd", index=False)
                mlflow.log_artifact(str(Path(folder, DATASET)))
            example = training.input_example.astype("float64")
            info = mlflow.sklearn.log_model(
                training.estimator,
                name="model",
                signature=infer_signature(example, training.estimator.predict_proba(example.to_numpy())),
                input_example=example,
                pyfunc_predict_fn="predict_proba",
                pip_requirements=["scikit-learn", "skops", "numpy", "pandas"],
                skops_trusted_types=[*TRUSTED_TYPES, *training.trusted_types],
            )
        return str(run.info.run_id), str(info.model_id)

    def _create_version(self, training: TrainingRun, run_id: str, model_id: str) -> ModelVersion:
        """Register the model of a finished run together with its tags.

        A version without its tags could be neither compared nor loaded, but every list of versions would have it.
        """
        from mlflow.exceptions import MlflowException

        client, source = self._client(), f"models:/{model_id}"
        try:
            client.create_registered_model(MODEL_NAME)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        digest = self._file_digest(client.get_logged_model(model_id).artifact_location)
        tags = {**training.tags, "run_id": run_id, model_artefact.DIGEST_TAG: digest, UNFINISHED: "true"}
        return _as_version(client.create_model_version(MODEL_NAME, source, run_id, tags, model_id=model_id))

    def _link_version(self, version: ModelVersion, training: TrainingRun, model_id: str) -> None:
        """Let the pages of the run and of its model name the version."""
        client = self._client()
        client.set_tag(version.run_id, "mlflow.runName", f"version {version.version}: {training.summary}")
        link = json.dumps([{"name": MODEL_NAME, "version": str(version.version)}])
        client.set_logged_model_tags(model_id, {"mlflow.modelVersions": link})

    def _stage(self, version: int) -> None:
        client = self._client()
        client.delete_model_version_tag(MODEL_NAME, str(version), UNFINISHED)
        client.set_registered_model_alias(MODEL_NAME, STAGING, str(version))

    @staticmethod
    def _file_digest(folder_uri: str) -> str:
        import mlflow.artifacts

        uri = f"{folder_uri}/{model_artefact.FILE}"
        with tempfile.TemporaryDirectory(prefix="touchline-model-") as folder:
            return model_artefact.digest(Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder)))

    def by_alias(self, alias: str) -> ModelVersion | None:
        """Return the version with an alias; None if no version has it."""

        def find() -> ModelVersion | None:
            from mlflow.exceptions import MlflowException

            try:
                entry = self._client().get_model_version_by_alias(MODEL_NAME, alias)
                _check_name(entry)
                return _as_version(entry)
            except MlflowException as error:
                # the model does not exist, or has no such alias
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise

        return self._call_server(find)

    def version(self, number: int) -> ModelVersion | None:
        """Return a version by number; None if it does not exist."""
        return next((version for version in self.versions() if version.version == number), None)

    def versions(self) -> list[ModelVersion]:
        """List all versions whose registration has finished, newest first."""

        def search() -> list[ModelVersion]:
            from mlflow.exceptions import MlflowException

            client = self._client()
            try:
                model = client.get_registered_model(MODEL_NAME)
                _check_name(model)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return []
                raise
            entries = client.search_model_versions(f"name='{MODEL_NAME}'")
            versions = [_as_version(entry, _aliases_of(model.aliases, entry)) for entry in entries]
            finished = (version for version in versions if UNFINISHED not in version.tags)
            return sorted(finished, key=lambda version: -version.version)

        return self._call_server(search)

    def load(self, version: ModelVersion) -> LoadedModel:
        """Load a version's estimator and the column order of its signature.

        Nothing but types of this package, or of the installed recipe that made the version, is loaded, whatever the
        artefact says. A submitted model may also consist of scikit-learn's types: see `features.io.model_artefact`.
        """

        def fetch() -> LoadedModel:
            # Without a folder of our own, MLflow downloads the model twice and keeps both copies.
            with tempfile.TemporaryDirectory(prefix="touchline-model-") as folder:
                columns, file = self._download(version, folder)
                rules = self._type_rules(version)
                estimator = model_artefact.load(file, version.tags.get(model_artefact.DIGEST_TAG), rules)
                return LoadedModel(version, estimator, columns)

        try:
            return self._call_server(fetch)
        except ModelUnavailableError as error:
            raise ModelUnavailableError(f"version {version.version} of {MODEL_NAME} was not loaded: {error}") from error

    def _type_rules(self, version: ModelVersion) -> model_artefact.TypeRules | None:
        """Return what a version may consist of: by its recipe, or as submitted; None if it is the platform's model."""
        if model_artefact.SUBMITTED_TAG in version.tags:
            from features.recipes import SubmittedTypes  # imported here: it loads scikit-learn

            return SubmittedTypes()
        name = version.tags.get(model_artefact.RECIPE_TAG)
        try:
            return self._recipes.get(name) if name else None
        except InvalidInputError as error:
            raise ModelUnavailableError(f"the code that made it is missing or broken here: {error}") from error

    def _download(self, version: ModelVersion, folder: str) -> tuple[tuple[str, ...], Path]:
        """Download a version's columns and file, after a look at their sizes; nothing is loaded yet."""
        import mlflow.artifacts

        mlflow.set_tracking_uri(self.tracking_uri)
        uri = f"models:/{MODEL_NAME}/{version.version}"
        files = {Path(file.path).name: file.file_size for file in mlflow.artifacts.list_artifacts(artifact_uri=uri)}
        for size in files.values():
            model_artefact.check_size(size)
        columns = _read_description(mlflow.artifacts.download_artifacts(f"{uri}/MLmodel", dst_path=folder))
        file = mlflow.artifacts.download_artifacts(f"{uri}/{model_artefact.FILE}", dst_path=folder)
        return columns, Path(file)

    @staticmethod
    def preload() -> None:
        """Import the modules that `load` needs, so that processes forked afterwards load in a fraction of the time."""
        for module in ("mlflow.artifacts", "mlflow.models", "skops.io", "features.models"):
            importlib.import_module(module)

    def set_alias(self, alias: str, version: int) -> None:
        """Move an alias to a version."""
        self._call_server(lambda: self._client().set_registered_model_alias(MODEL_NAME, alias, str(version)))

    def remove_alias(self, alias: str) -> None:
        """Remove an alias."""
        self._call_server(lambda: self._client().delete_registered_model_alias(MODEL_NAME, alias))

    def set_tags(self, version: int, tags: Mapping[str, str]) -> None:
        """Add tags to a version; existing ones are overwritten."""

        def write() -> None:
            for key, value in tags.items():
                self._client().set_model_version_tag(MODEL_NAME, str(version), key, value)

        self._call_server(write)

    def remove_tags(self, version: int, names: Iterable[str]) -> None:
        """Remove tags from a version; tags that it does not have are ignored."""

        def delete() -> None:
            current = self.version(version)
            for name in set(names) & set(current.tags if current else ()):
                self._client().delete_model_version_tag(MODEL_NAME, str(version), name)

        self._call_server(delete)

    def _select_experiment(self, experiment: str) -> None:
        """Select the experiment; a registry in a file stores its artefacts next to that file."""
        import mlflow

        if self.tracking_uri.startswith("sqlite:///") and mlflow.get_experiment_by_name(experiment) is None:
            folder = Path(self.tracking_uri.removeprefix("sqlite:///")).absolute().with_suffix(".artifacts")
            mlflow.create_experiment(experiment, artifact_location=folder.as_uri())
        mlflow.set_experiment(experiment)

    def _client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(self.tracking_uri, self.tracking_uri)

    def _call_server(self, call: Callable[[], T]) -> T:
        """Run a call; a failure becomes a ModelUnavailableError that names the server and the reason."""
        # MLflow retries for minutes by default, while a user or a schedule waits for the call.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from google.protobuf.json_format import ParseError
        from mlflow.exceptions import MlflowException

        try:
            return call()
        except (MlflowException, ParseError, _ForeignResponseError, OSError) as error:
            reason = " ".join(str(error).partition("[SQL:")[0].split())
            if "too many 503 error responses" in reason:  # MLflow's client does not keep their text
                reason = "it answers 503: it is starting, or its database cannot be written, as on a full disk"
            if _is_foreign_response(error):
                _close_connections()
                reason = f"something other than MLflow's API answered; its connection was closed: {reason}"
            raise ModelUnavailableError(f"model registry at {self.tracking_uri}: {reason}") from error


def _read_description(path: str) -> tuple[str, ...]:
    """Return the columns of a model from MLflow's description of it, if the model is stored in our format."""
    from mlflow.models import Model

    try:
        description = Model.load(path)
        columns = tuple(description.signature.inputs.input_names())
    except Exception as error:  # whatever an unusable document leads to
        raise ModelUnavailableError(f"its description is unusable: {error!r}"[:300]) from error
    model_artefact.check_format(description.flavors)
    return columns


class _ForeignResponseError(Exception):
    """JSON that MLflow's client accepts, although nothing in it is about the model that was asked for."""


def _check_name(entry: Any) -> None:
    """Raise _ForeignResponseError unless a model or version is that of this platform; unknown fields are ignored."""
    if entry.name != MODEL_NAME:
        raise _ForeignResponseError(f"asked for the model {MODEL_NAME!r}, it returned {entry.name!r}")


def _is_foreign_response(error: Exception) -> bool:
    """Whether an error is due to a response of something other than MLflow's API.

    MLflow's own errors are JSON with an error code. Its client raises `ParseError` for JSON of another form, and a
    message about an "endpoint" for anything that is not JSON.
    """
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import RestException

    if isinstance(error, RestException):
        return "error_code" not in error.json
    return isinstance(error, ParseError | _ForeignResponseError) or str(error).startswith("API request to endpoint")


def _close_connections() -> None:
    """Close the kept connections to every registry; the next call opens new ones.

    The address of a service can be given to another one, which then answers on a connection that was kept. MLflow
    keeps its connections in a cache of its own and offers no other way to close them.
    """
    from mlflow.utils import request_utils

    request_utils._cached_get_request_session.cache_clear()


def _aliases_of(aliases: Mapping[str, Any], entry: Any) -> list[str]:
    return [name for name, number in aliases.items() if int(number) == int(entry.version)]


def _as_version(entry: Any, aliases: Iterable[str] | None = None) -> ModelVersion:
    return ModelVersion(
        version=int(entry.version),
        run_id=entry.run_id,
        created_at=datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC),
        tags=dict(entry.tags),
        aliases=tuple(sorted(entry.aliases if aliases is None else aliases)),
    )
