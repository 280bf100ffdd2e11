"""Recipes are found by name, and a version is loaded only with the recipe that made it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import InvalidInputError, ModelUnavailableError
from features.io.installed_recipes import InstalledRecipes
from features.io.model_artefact import RECIPE_TAG
from features.io.registry import PRODUCTION, Registry, TrainingRun
from features.io.store import Lake
from features.recipes import BUILT_IN
from serving.worker.predictor import Predictor

MODULE = """
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from features.recipes import Recipe


class Head(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.logit_ = LogisticRegression().fit(X, y)
        self.classes_ = self.logit_.classes_
        return self

    def predict_proba(self, X):
        return self.logit_.predict_proba(X)


def head():
    return Recipe(Head, ("elo", "pi"))


ready = Recipe(Head, ("elo",))


def broken():
    raise OSError("no weights")


def number():
    return 3
"""
REFERENCE = "acme_models:head"


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with an engineer's module, installed as a package with an entry point."""
    (tmp_path / "acme_models.py").write_text(MODULE)
    metadata = tmp_path / "acme_models-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-models\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[touchline.recipes]\nacme = acme_models:head\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_models", raising=False)
    return tmp_path


def test_recipes_come_from_entry_points_and_the_setting(acme: Path) -> None:
    recipes = InstalledRecipes([REFERENCE, "acme_models:ready"])
    assert recipes.names() == sorted([*BUILT_IN, "acme", "head", "ready"])
    assert recipes.get("acme").columns == recipes.get("head").columns == ("elo", "pi")
    assert recipes.get("ready").all_trusted_types() == ("acme_models.Head",)
    before = recipes.get("head").revision()
    (acme / "acme_models.py").write_text(MODULE.replace("LogisticRegression()", "LogisticRegression(C=2)"))
    del sys.modules["acme_models"]
    assert recipes.get("head").revision() != before, "other code is another model"


@pytest.mark.parametrize(
    ("reference", "name", "expected"),
    [
        ("acme_models:broken", "broken", "no weights"),
        ("acme_models:number", "number", "is a int, not"),
        ("acme_models:missing", "missing", "cannot be used"),
        ("nowhere.models:head", "head", "cannot be used: ModuleNotFoundError"),
        ("acme_models:head", "heads", "not installed; did you mean head"),
        ("elsewhere:dixon_coles", "dixon_coles", "2 recipes are named"),
    ],
)
def test_recipe_that_cannot_be_used_is_named_with_the_reason(
    acme: Path, reference: str, name: str, expected: str
) -> None:
    with pytest.raises(InvalidInputError, match=expected):
        InstalledRecipes([reference]).get(name)


@pytest.mark.medium
def test_worker_without_the_recipe_keeps_its_version(acme: Path, tmp_path: Path) -> None:
    """A process with the code loads the version with its types alone; one without says which recipe is missing."""
    x = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["elo", "pi"])
    y = np.arange(60) % 3
    recipes = InstalledRecipes([REFERENCE])
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tags = {"trained_through": "2025-05-25T15:00:00+00:00"}
    registry = Registry(uri, recipes)

    def register(name: str) -> int:
        recipe = recipes.get(name)
        columns = x if name == "head" else x.set_axis(["log_home_goals", "log_away_goals"], axis=1)
        estimator = recipe.build().fit(columns.to_numpy(), y)
        run = TrainingRun(
            estimator, columns.head(2), columns.assign(outcome=y), "lake", {}, {}, {**tags, RECIPE_TAG: name},
            trusted_types=recipe.all_trusted_types(),
        )  # fmt: skip
        return registry.register(run).version

    registry.set_alias(PRODUCTION, register("dixon_coles"))
    bare = Predictor(Registry(uri), Lake(str(tmp_path / "lake")))
    assert bare.refresh_model()
    own = registry.version(register("head"))
    assert own is not None
    assert registry.load(own).features == ("elo", "pi")
    registry.set_alias(PRODUCTION, own.version)
    with pytest.raises(
        ModelUnavailableError, match=r"version 2.*missing or broken here: recipe 'head' is not installed"
    ):
        bare.refresh_model()
    assert bare.active.version == 1
    assert "'head' is not installed" in bare.error

    # Another recipe, or none, does not make its types trusted.
    for name, reason in (("dixon_coles", "not trusted"), ("", "not trusted")):
        with pytest.raises(ModelUnavailableError, match=reason):
            registry.load(replace(own, tags={**own.tags, RECIPE_TAG: name}))
