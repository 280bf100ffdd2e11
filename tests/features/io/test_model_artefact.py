"""Whoever reaches the registry can log a version; none makes a process run its code."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from features.errors import ModelUnavailableError
from features.io.model_artefact import DIGEST_TAG, FILE, MAX_BYTES
from features.io.registry import PRODUCTION, ModelVersion, Registry, TrainingRun
from features.io.store import Lake
from features.models import outcome_model
from serving.worker.predictor import Predictor

pytestmark = pytest.mark.medium
TRIGGERED: list[str] = []


def trigger(text: str) -> str:
    """What a hostile artefact would call."""
    TRIGGERED.append(text)
    return text


class Hostile:
    """An object whose unpickling calls `trigger`."""

    def __reduce__(self) -> tuple[Callable[[str], str], tuple[str]]:
        return trigger, ("unpickled",)


class HostileState:
    """An object whose loading by skops calls `trigger`, if its type is trusted."""

    def __init__(self) -> None:
        self.x = 1

    def __setstate__(self, state: object) -> None:
        trigger("set state")


def registered(registry: Registry) -> ModelVersion:
    x = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["elo", "pi"])
    y = np.arange(60) % 3
    tags = {"trained_through": "2025-05-25T15:00:00+00:00"}
    return registry.register(
        TrainingRun(outcome_model().fit(x.to_numpy(), y), x.head(2), x.assign(outcome=y), "lake", {}, {}, tags)
    )


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    registry = Registry(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db")
    registered(registry)
    return registry


@pytest.fixture
def folder(registry: Registry) -> Path:
    """The artefact of the version; restored after the test."""
    home = Path(registry.tracking_uri.removeprefix("sqlite:///")).parent
    (file,) = home.rglob(FILE)
    return file.parent


def unwritten(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def as_pickle(folder: Path) -> None:
    """A pickle, declared as MLflow declares it."""
    (folder / "model.pkl").write_bytes(pickle.dumps(Hostile()))
    text = (folder / "MLmodel").read_text()
    text = text.replace("serialization_format: skops", "serialization_format: pickle")
    (folder / "MLmodel").write_text(text.replace(FILE, "model.pkl"))


def as_cloudpickle_without_format(folder: Path) -> None:
    """A pickle in place of the file, in a description that does not tell the format."""
    (folder / FILE).write_bytes(pickle.dumps(Hostile()))
    lines = (folder / "MLmodel").read_text().splitlines()
    (folder / "MLmodel").write_text("\n".join(line for line in lines if "serialization_format" not in line))


def as_pickle_named_skops(folder: Path) -> None:
    """A pickle that claims to be a file of skops."""
    (folder / FILE).write_bytes(pickle.dumps(Hostile()))


def trusting_itself(folder: Path) -> None:
    """A file of skops with a type that the description adds to the trusted ones."""
    skops.io.dump(HostileState(), folder / FILE)
    text = (folder / "MLmodel").read_text()
    name = f"{HostileState.__module__}.HostileState"
    (folder / "MLmodel").write_text(text.replace("features.blend.RatingBlend", name))


def calling_a_function(folder: Path) -> None:
    """A transformer of scikit-learn around a function that is not ours."""
    skops.io.dump(FunctionTransformer(trigger), folder / FILE)


def of_another_package(folder: Path) -> None:
    """A harmless estimator that is none of ours."""
    skops.io.dump(LogisticRegression(), folder / FILE)


def too_large_unpacked(folder: Path) -> None:
    """A small archive that unpacks to more than is allowed."""
    with zipfile.ZipFile(folder / FILE, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("padding", b"\0" * (MAX_BYTES + 1))


def too_large(folder: Path) -> None:
    """A file of which only the length is large."""
    with (folder / FILE).open("r+b") as file:
        file.truncate(MAX_BYTES + 1)


def outside(folder: Path) -> None:
    """A description that names a file elsewhere."""
    (folder / "MLmodel").write_text((folder / "MLmodel").read_text().replace(FILE, "../../model.skops"))


def without_signature(folder: Path) -> None:
    """A description that is not one."""
    (folder / "MLmodel").write_text("[1, 2")


def with_broken_schema(folder: Path) -> None:
    """A file of skops whose schema is not one."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("schema.json", json.dumps({"__loader__": "ObjectNode"}))
    (folder / FILE).write_bytes(content.getvalue())


REFUSED = {
    as_pickle: "stored as 'pickle'",
    as_cloudpickle_without_format: "stored as 'pickle'",
    as_pickle_named_skops: "not a file of skops",
    trusting_itself: "not trusted",
    calling_a_function: "not trusted",
    of_another_package: "no model of this package",
    too_large: "at most",
    too_large_unpacked: "at most",
    outside: "not model.skops",
    without_signature: "description is unusable",
    with_broken_schema: "damaged",
}


@pytest.mark.parametrize("tampered", REFUSED, ids=lambda case: case.__name__)
def test_hostile_artefact_is_refused_and_nothing_runs(
    registry: Registry, folder: Path, tampered: Callable[[Path], None]
) -> None:
    """Nothing of it is executed; the error names the version and the reason."""
    (version,) = registry.versions()
    untagged = ModelVersion(version.version, version.run_id, version.created_at, {})
    before = unwritten(folder)
    try:
        tampered(folder)
        with pytest.raises(ModelUnavailableError, match=REFUSED[tampered]) as refused:
            registry.load(untagged)
    finally:
        (folder / "model.pkl").unlink(missing_ok=True)
        for name, content in before.items():
            (folder / name).write_bytes(content)
    assert "version 1 of match-outcome was not loaded" in str(refused.value)
    assert TRIGGERED == []
    registry.load(version)


def test_other_file_than_the_one_logged_is_refused(registry: Registry, folder: Path) -> None:
    """The digest that training recorded is compared before the file is read."""
    (version,) = registry.versions()
    before = (folder / FILE).read_bytes()
    assert len(version.tags[DIGEST_TAG]) == 64
    try:
        skops.io.dump(outcome_model(), folder / FILE)
        with pytest.raises(ModelUnavailableError, match="not the one that was logged"):
            registry.load(version)
    finally:
        (folder / FILE).write_bytes(before)


def test_worker_keeps_its_version_beside_a_hostile_one(tmp_path: Path) -> None:
    """It tells which version it refused, and goes on with the old one."""
    registry = Registry(f"sqlite:///{tmp_path}/mlflow.db")
    registry.set_alias(PRODUCTION, registered(registry).version)
    predictor = Predictor(registry, Lake(str(tmp_path / "lake")))
    assert predictor.refresh_model()
    (first,) = tmp_path.rglob(FILE)
    hostile = registered(registry)
    (second,) = (file for file in tmp_path.rglob(FILE) if file != first)
    as_pickle(second.parent)
    registry.set_alias(PRODUCTION, hostile.version)
    with pytest.raises(ModelUnavailableError, match="version 2 of match-outcome was not loaded"):
        predictor.refresh_model()
    assert (predictor.active.version if predictor.active else None) == 1
    assert "version 2" in str(predictor.error)
    assert TRIGGERED == []
