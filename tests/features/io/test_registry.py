"""The model registry, on a database file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import ModelUnavailableError
from features.io.registry import PRODUCTION, STAGING, LoadedModel, ModelVersion, Registry, TrainingRun
from features.models import outcome_model
from tests.support.mlflow_runs import run_metrics, training_rows

pytestmark = pytest.mark.medium

COLUMNS = ("elo", "pi")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db")


def training(seed: int = 0) -> TrainingRun:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(60, 2)), np.arange(60) % 3
    frame = pd.DataFrame(x, columns=list(COLUMNS))
    return TrainingRun(
        estimator=outcome_model().fit(x, y),
        input_example=frame.head(2),
        dataset=frame.assign(outcome=y),
        dataset_source="lake/match_features",
        params={"seed": seed},
        metrics={"rps": 0.2},
        tags={"trained_through": "2025-05-25T15:00:00+00:00"},
        documents={"evaluation.json": "{}"},
        summary=f"goals, seed {seed}",
    )


@pytest.fixture(scope="module")
def versions(registry: Registry) -> list[int]:
    assert registry.versions() == []
    assert registry.by_alias(PRODUCTION) is None
    return [registry.register(training(seed)).version for seed in (1, 2)]


def test_a_new_version_is_staged_with_its_story(registry: Registry, versions: list[int]) -> None:
    newest = registry.by_alias(STAGING)
    assert newest is not None
    assert newest.version == versions[-1]
    assert newest.trained_through.isoformat() == "2025-05-25T15:00:00+00:00"
    assert run_metrics(registry, newest) == {"rps": 0.2}
    assert [version.version for version in registry.versions()] == [2, 1]


def test_runs_are_named_by_their_version_and_recipe(registry: Registry, versions: list[int]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(registry.tracking_uri)
    runs = [client.get_run(version.run_id).info.run_name for version in registry.versions()]
    assert runs == ["version 2: goals, seed 2", "version 1: goals, seed 1"]


def test_a_loaded_version_forecasts_like_the_estimator_and_knows_its_columns(
    registry: Registry, versions: list[int]
) -> None:
    version = registry.version(versions[0])
    assert version is not None
    loaded = registry.load(version)
    x = np.random.default_rng(3).normal(size=(5, 2))
    assert loaded.features == COLUMNS
    np.testing.assert_array_equal(loaded.predict_proba(x), training(1).estimator.predict_proba(x))
    for wrong, why in ((np.where(x == x[2, 1], np.nan, x), "NaN"), (x[:, :1], "1 features"), (x[:0], "0 sample")):
        with pytest.raises(ValueError, match=why):
            loaded.predict_proba(wrong)


def test_the_rows_a_version_learnt_from_are_kept_with_it(registry: Registry, versions: list[int]) -> None:
    for number, seed in zip(versions, (1, 2), strict=True):
        version = registry.version(number)
        assert version is not None
        pd.testing.assert_frame_equal(training_rows(registry, version), training(seed).dataset, check_exact=True)


def test_an_alias_moves_and_can_be_taken_away(registry: Registry, versions: list[int]) -> None:
    for version in versions:
        registry.set_alias(PRODUCTION, version)
        bearer = registry.by_alias(PRODUCTION)
        assert bearer is not None
        assert bearer.version == version
    registry.set_tags(versions[-1], {"promoted_by": "Ada"})
    assert registry.versions()[0].tags["promoted_by"] == "Ada"
    registry.remove_alias(PRODUCTION)
    assert registry.by_alias(PRODUCTION) is None


def test_the_models_lie_beside_the_database(registry: Registry, versions: list[int]) -> None:
    home = Path(registry.tracking_uri.removeprefix("sqlite:///")).parent
    assert list((home / "mlflow.artifacts").rglob("model.skops"))


def test_an_unreachable_registry_says_which_and_why() -> None:
    with pytest.raises(ModelUnavailableError, match=r"http://127\.0\.0\.1:9"):
        Registry("http://127.0.0.1:9").versions()


def test_an_unknown_version_cannot_be_loaded(registry: Registry, versions: list[int]) -> None:
    assert registry.version(99) is None


def test_valid_input_skips_the_checks_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks take longer than a single forecast. Input with NaN still goes through them."""
    estimator, x = training().estimator, np.array([[0.5, -0.5]])
    expected = estimator.predict_proba(x)
    version = ModelVersion(1, "run", datetime(2025, 6, 1, tzinfo=UTC), {}, ())
    model = LoadedModel(version, estimator, COLUMNS)
    monkeypatch.setattr(type(estimator), "predict_proba", lambda *_: pytest.fail("checked"))
    np.testing.assert_array_equal(model.predict_proba(x), expected)
    with pytest.raises(pytest.fail.Exception, match="checked"):
        model.predict_proba(x * np.nan)


def test_version_that_cannot_be_staged_is_not_registered(
    registry: Registry, versions: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full after MLflow has stored the model; the next training works again."""
    before = registry.versions()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.set_registered_model_alias", full)
        with pytest.raises(ModelUnavailableError, match="No space left on device"):
            registry.register(training(3))
    assert registry.versions() == before
    assert registry.register(training(3)).version not in versions


def test_version_is_staged_after_everything_that_belongs_to_it_is_stored(
    registry: Registry, versions: list[int]
) -> None:
    """It is not listed before, and removed if its report cannot be published."""
    before, seen = registry.versions(), []

    def publish(version: ModelVersion) -> None:
        seen.append((version.tags["trained_through"], registry.versions() == before))
        if len(seen) == 1:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        registry.register(training(4), before_staging=publish)
    assert registry.versions() == before
    staged = registry.register(training(4), before_staging=publish)
    assert staged.aliases == (STAGING,)
    assert seen == [("2025-05-25T15:00:00+00:00", True)] * 2
